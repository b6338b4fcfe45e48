// Making a set of groups and searching it. (A binary search among 500 groups takes twice as long for each row: its
// branches are mispredicted.)

#include "membership/group_set.hpp"

#include <algorithm>

namespace rls_tenant {

namespace {

bool operator<(const UuidKey &left, const UuidKey &right) {
  return (left.high < right.high) | ((left.high == right.high) & (left.low < right.low));
}

bool operator==(const UuidKey &left, const UuidKey &right) {
  return ((left.high ^ right.high) | (left.low ^ right.low)) == 0;
}

// By bytes, not by any collation; of two with the same beginning the shorter comes first.
int compare_texts(const char *left, uint32 left_length, const char *right, uint32 right_length) {
  const int order = memcmp(left, right, Min(left_length, right_length));
  if (order != 0) return order;
  return left_length < right_length ? -1 : left_length > right_length;
}

int compare_keys(const char *texts, const TextKey &left, const TextKey &right) {
  return compare_texts(texts + left.offset, left.length, texts + right.offset, right.length);
}

// The order of the groups of two rows: negative, 0 or positive.
int compare_groups(IdType type, const char *texts, const MembershipRow &left, const MembershipRow &right) {
  switch (type) {
    case IdType::uuid:
      return left.uuid < right.uuid ? -1 : right.uuid < left.uuid;
    case IdType::bigint:
      return left.bigint < right.bigint ? -1 : right.bigint < left.bigint;
    case IdType::text:
      return compare_keys(texts, left.text, right.text);
  }
  pg_unreachable();
}

uint32 key_size(IdType type) {
  return type == IdType::uuid ? sizeof(UuidKey) : type == IdType::bigint ? sizeof(int64) : sizeof(TextKey);
}

// Multiplicative hashing (Knuth, The Art of Computer Programming, volume 3, 6.4): the upper bits are the good ones.
constexpr uint64 multiplier = UINT64CONST(0x9E3779B97F4A7C15);

uint64 mix(uint64 hash, uint64 part) {
  hash = (hash ^ part) * multiplier;
  return hash ^ hash >> 32;
}

uint64 hash_of(const UuidKey &key, uint64 seed) { return mix(mix(seed, key.high), key.low) * multiplier; }
uint64 hash_of(int64 key, uint64 seed) { return mix(seed, static_cast<uint64>(key)) * multiplier; }

// Eight bytes at a time.
uint64 hash_of(const char *text, uint32 length, uint64 seed) {
  uint64 hash = mix(seed, length), part;
  for (; length >= sizeof part; text += sizeof part, length -= sizeof part) {
    memcpy(&part, text, sizeof part);
    hash = mix(hash, part);
  }
  part = 0;
  memcpy(&part, text, length);
  return mix(hash, part) * multiplier;
}

// The number of the group that has this hash and matches, or -1.
template <typename Matches>
int find(const GroupSet *set, uint64 hash, Matches matches) {
  const uint32 *slots = set->at<uint32>(set->slots);
  const uint32 mask = (1u << set->bits) - 1;
  for (uint32 slot = static_cast<uint32>(hash >> (64 - set->bits));; slot = (slot + 1) & mask) {
    if (slots[slot] == 0) return -1;
    if (matches(slots[slot] - 1)) return static_cast<int>(slots[slot] - 1);
  }
}

// The bytes that the texts of a set take at most: those of groups and roles, once for each row.
size_t texts_size(IdType type, const MembershipRow *rows, uint32 count) {
  size_t size = 0;
  for (uint32 i = 0; i < count; i++) size += rows[i].role.length + (type == IdType::text ? rows[i].text.length : 0);
  return size;
}

// A set while it is written.
struct Writer {
  GroupSet *set;
  const char *source;  // the rows' texts
  uint32 end;          // of the texts written so far
};

TextKey write_text(Writer *writer, const TextKey &text) {
  const TextKey result = {writer->end, text.length};
  memcpy(reinterpret_cast<char *>(writer->set) + writer->end, writer->source + text.offset, text.length);
  writer->end += text.length;
  return result;
}

void write_group(Writer *writer, uint32 group, const MembershipRow &row) {
  char *groups = reinterpret_cast<char *>(writer->set) + writer->set->groups;
  switch (writer->set->type) {
    case IdType::uuid:
      reinterpret_cast<UuidKey *>(groups)[group] = row.uuid;
      break;
    case IdType::bigint:
      reinterpret_cast<int64 *>(groups)[group] = row.bigint;
      break;
    case IdType::text:
      reinterpret_cast<TextKey *>(groups)[group] = write_text(writer, row.text);
      break;
  }
}

Datum group_datum(const GroupSet *set, uint32 group) {
  switch (set->type) {
    case IdType::uuid: {
      const UuidKey key = set->at<UuidKey>(set->groups)[group];
      const uint64 halves[2] = {pg_hton64(key.high), pg_hton64(key.low)};
      pg_uuid_t *uuid = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
      memcpy(uuid->data, halves, sizeof halves);
      return UUIDPGetDatum(uuid);
    }
    case IdType::bigint:
      return Int64GetDatum(set->at<int64>(set->groups)[group]);
    case IdType::text: {
      const TextKey key = set->at<TextKey>(set->groups)[group];
      return PointerGetDatum(cstring_to_text_with_len(set->at<char>(key.offset), static_cast<int>(key.length)));
    }
  }
  pg_unreachable();
}

Datum *datum_space(const GroupSet *set) { return static_cast<Datum *>(palloc(sizeof(Datum) * Max(set->count, 1))); }

ArrayType *to_array(IdType type, Datum *groups, uint32 count) {
  const Oid oid = id_type_oid(type);
  if (count == 0) return construct_empty_array(oid);
  int16 length;
  bool by_value;
  char align;
  get_typlenbyvalalign(oid, &length, &by_value, &align);
  return construct_array(groups, static_cast<int>(count), oid, length, by_value, align);
}

uint64 hash_group(const GroupSet *set, uint32 group) {
  switch (set->type) {
    case IdType::uuid:
      return hash_of(set->at<UuidKey>(set->groups)[group], set->seed);
    case IdType::bigint:
      return hash_of(set->at<int64>(set->groups)[group], set->seed);
    case IdType::text: {
      const TextKey key = set->at<TextKey>(set->groups)[group];
      return hash_of(set->at<char>(key.offset), key.length, set->seed);
    }
  }
  pg_unreachable();
}

// Fills the hash table. It is at most half full, so that every search ends.
void fill_slots(GroupSet *set) {
  uint32 *slots = reinterpret_cast<uint32 *>(reinterpret_cast<char *>(set) + set->slots);
  const uint32 mask = (1u << set->bits) - 1;
  for (uint32 group = 0; group < set->count; group++) {
    CHECK_FOR_INTERRUPTS();
    uint32 slot = static_cast<uint32>(hash_group(set, group) >> (64 - set->bits));
    while (slots[slot] != 0) slot = (slot + 1) & mask;
    slots[slot] = group + 1;
  }
}

// The number in `set` of group number `group` of another set of the same type.
int find_same(const GroupSet *set, const GroupSet *other, uint32 group) {
  switch (other->type) {
    case IdType::uuid:
      return find_group(set, other->at<UuidKey>(other->groups)[group]);
    case IdType::bigint:
      return find_group(set, other->at<int64>(other->groups)[group]);
    case IdType::text: {
      const TextKey key = other->at<TextKey>(other->groups)[group];
      return find_group(set, other->at<char>(key.offset), key.length);
    }
  }
  pg_unreachable();
}

}  // namespace

GroupSet *make_group_set(IdType type, MembershipRow *rows, uint32 count, const char *texts, MemoryContext memory) {
  std::sort(rows, rows + count, [=](const MembershipRow &left, const MembershipRow &right) {
    const int order = compare_groups(type, texts, left, right);
    return order != 0 ? order < 0 : compare_keys(texts, left.role, right.role) < 0;
  });
  uint32 groups = 0;
  for (uint32 i = 0; i < count; i++) {
    if (i == 0 || compare_groups(type, texts, rows[i - 1], rows[i]) != 0) groups++;
  }
  const size_t groups_at = MAXALIGN(sizeof(GroupSet));
  const size_t first_roles_at = groups_at + MAXALIGN(size_t{groups} * key_size(type));
  const size_t roles_at = first_roles_at + MAXALIGN((size_t{groups} + 1) * sizeof(uint32));
  const size_t slots_at = roles_at + size_t{count} * sizeof(TextKey);
  uint32 bits = 1;
  while ((size_t{1} << bits) < size_t{groups} * 2) bits++;
  const size_t texts_at = slots_at + (sizeof(uint32) << bits);
  const size_t size = texts_at + texts_size(type, rows, count);
  if (size > MaxAllocSize) {
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("a user is in too many groups"),
                    errdetail("%u memberships need %zu bytes.", count, size),
                    errhint("Give such users a policy of their own.")));
  }
  GroupSet *set = static_cast<GroupSet *>(MemoryContextAllocZero(memory, size));
  set->size = static_cast<uint32>(size);
  set->type = type;
  set->count = groups;
  set->groups = static_cast<uint32>(groups_at);
  set->first_roles = static_cast<uint32>(first_roles_at);
  set->roles = static_cast<uint32>(roles_at);
  set->slots = static_cast<uint32>(slots_at);
  set->bits = bits;
  set->seed = pg_prng_uint64(&pg_global_prng_state);
  Writer writer = {set, texts, static_cast<uint32>(texts_at)};
  uint32 *first_roles = reinterpret_cast<uint32 *>(reinterpret_cast<char *>(set) + first_roles_at);
  TextKey *roles = reinterpret_cast<TextKey *>(reinterpret_cast<char *>(set) + roles_at);
  uint32 group = 0, role = 0;
  for (uint32 i = 0; i < count; i++) {
    if (i == 0 || compare_groups(type, texts, rows[i - 1], rows[i]) != 0) {
      first_roles[group] = role;
      write_group(&writer, group++, rows[i]);
    } else if (compare_keys(texts, rows[i - 1].role, rows[i].role) == 0) {
      continue;
    }
    if (rows[i].role.length > 0) roles[role++] = write_text(&writer, rows[i].role);
  }
  first_roles[groups] = role;
  fill_slots(set);
  return set;
}

UuidKey uuid_key(const pg_uuid_t *uuid) {
  uint64 halves[2];
  memcpy(halves, uuid->data, sizeof halves);
  return {pg_ntoh64(halves[0]), pg_ntoh64(halves[1])};
}

int find_group(const GroupSet *set, UuidKey wanted) {
  const UuidKey *keys = set->at<UuidKey>(set->groups);
  return find(set, hash_of(wanted, set->seed), [=](uint32 group) { return keys[group] == wanted; });
}

int find_group(const GroupSet *set, int64 wanted) {
  const int64 *keys = set->at<int64>(set->groups);
  return find(set, hash_of(wanted, set->seed), [=](uint32 group) { return keys[group] == wanted; });
}

int find_group(const GroupSet *set, const char *text, uint32 length) {
  const TextKey *keys = set->at<TextKey>(set->groups);
  return find(set, hash_of(text, length, set->seed), [=](uint32 group) {
    return keys[group].length == length && memcmp(set->at<char>(keys[group].offset), text, length) == 0;
  });
}

Roles roles_in(const GroupSet *set, int group) {
  const uint32 *first = set->at<uint32>(set->first_roles) + group;
  return {set->at<TextKey>(set->roles) + first[0], first[1] - first[0]};
}

bool has_role(const GroupSet *set, int group, const char *role, uint32 length) {
  const Roles roles = roles_in(set, group);
  for (uint32 i = 0; i < roles.count; i++) {
    const TextKey &name = roles.names[i];
    if (name.length == length && memcmp(set->at<char>(name.offset), role, length) == 0) return true;
  }
  return false;
}

bool nothing_lost(const GroupSet *before, const GroupSet *now) {
  if (before == now) return true;
  if (before->type != now->type) return before->count == 0;
  for (uint32 i = 0; i < before->count; i++) {
    const int group = find_same(now, before, i);
    if (group < 0) return false;
    const Roles roles = roles_in(before, static_cast<int>(i));
    for (uint32 role = 0; role < roles.count; role++) {
      const TextKey &name = roles.names[role];
      if (!has_role(now, group, before->at<char>(name.offset), name.length)) return false;
    }
  }
  return true;
}

ArrayType *groups_array(const GroupSet *set, uint32 limit) {
  const uint32 step = limit > 0 && set->count > limit ? set->count / limit : 1;
  Datum *groups = datum_space(set);
  uint32 count = 0;
  for (uint32 i = 0; i < set->count; i += step) groups[count++] = group_datum(set, i);
  return to_array(set->type, groups, count);
}

ArrayType *groups_array_of_role(const GroupSet *set, const char *role, uint32 length) {
  Datum *groups = datum_space(set);
  uint32 count = 0;
  for (uint32 i = 0; i < set->count; i++) {
    if (has_role(set, static_cast<int>(i), role, length)) groups[count++] = group_datum(set, i);
  }
  return to_array(set->type, groups, count);
}

}  // namespace rls_tenant
