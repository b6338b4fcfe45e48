// Building an answer and searching it. (A binary search among 500 groups took twice as long a row: its branches are
// guessed wrong.)

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

// As bytes, the shorter first; not as any collation has it.
int compare_texts(const char *left, uint32 left_length, const char *right, uint32 right_length) {
  const int order = memcmp(left, right, Min(left_length, right_length));
  if (order != 0) return order;
  return left_length < right_length ? -1 : left_length > right_length;
}

int compare_keys(const char *texts, const TextKey &left, const TextKey &right) {
  return compare_texts(texts + left.offset, left.length, texts + right.offset, right.length);
}

// The order of the rows' groups: below 0, 0 or above.
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

// The number of the group that has this hash and suits, or -1.
template <typename Suits>
int find(const Answer *answer, uint64 hash, Suits suits) {
  const uint32 *slots = answer->at<uint32>(answer->slots);
  const uint32 mask = (1u << answer->bits) - 1;
  for (uint32 slot = static_cast<uint32>(hash >> (64 - answer->bits));; slot = (slot + 1) & mask) {
    if (slots[slot] == 0) return -1;
    if (suits(slots[slot] - 1)) return static_cast<int>(slots[slot] - 1);
  }
}

// The number of bytes that the texts of the block take: groups, and each role's name once per row.
size_t texts_size(IdType type, const MembershipRow *rows, uint32 count) {
  size_t size = 0;
  for (uint32 i = 0; i < count; i++) size += rows[i].role.length + (type == IdType::text ? rows[i].text.length : 0);
  return size;
}

// The block while it is filled.
struct Writer {
  Answer *answer;
  const char *source;  // the rows' texts
  uint32 end;          // of the texts written so far
};

TextKey write_text(Writer *writer, const TextKey &text) {
  const TextKey result = {writer->end, text.length};
  memcpy(reinterpret_cast<char *>(writer->answer) + writer->end, writer->source + text.offset, text.length);
  writer->end += text.length;
  return result;
}

void write_group(Writer *writer, uint32 group, const MembershipRow &row) {
  char *groups = reinterpret_cast<char *>(writer->answer) + writer->answer->groups;
  switch (writer->answer->type) {
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

Datum group_datum(const Answer *answer, uint32 group) {
  switch (answer->type) {
    case IdType::uuid: {
      const UuidKey key = answer->at<UuidKey>(answer->groups)[group];
      const uint64 halves[2] = {pg_hton64(key.high), pg_hton64(key.low)};
      pg_uuid_t *uuid = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
      memcpy(uuid->data, halves, sizeof halves);
      return UUIDPGetDatum(uuid);
    }
    case IdType::bigint:
      return Int64GetDatum(answer->at<int64>(answer->groups)[group]);
    case IdType::text: {
      const TextKey key = answer->at<TextKey>(answer->groups)[group];
      return PointerGetDatum(cstring_to_text_with_len(answer->at<char>(key.offset), static_cast<int>(key.length)));
    }
  }
  pg_unreachable();
}

Datum *datum_space(const Answer *answer) { return static_cast<Datum *>(palloc(sizeof(Datum) * Max(answer->count, 1))); }

ArrayType *to_array(IdType type, Datum *groups, uint32 count) {
  const Oid oid = id_type_oid(type);
  if (count == 0) return construct_empty_array(oid);
  int16 length;
  bool by_value;
  char align;
  get_typlenbyvalalign(oid, &length, &by_value, &align);
  return construct_array(groups, static_cast<int>(count), oid, length, by_value, align);
}

uint64 hash_group(const Answer *answer, uint32 group) {
  switch (answer->type) {
    case IdType::uuid:
      return hash_of(answer->at<UuidKey>(answer->groups)[group], answer->seed);
    case IdType::bigint:
      return hash_of(answer->at<int64>(answer->groups)[group], answer->seed);
    case IdType::text: {
      const TextKey key = answer->at<TextKey>(answer->groups)[group];
      return hash_of(answer->at<char>(key.offset), key.length, answer->seed);
    }
  }
  pg_unreachable();
}

// Fills the hash table. It is at most half full, so that every search ends.
void fill_slots(Answer *answer) {
  uint32 *slots = reinterpret_cast<uint32 *>(reinterpret_cast<char *>(answer) + answer->slots);
  const uint32 mask = (1u << answer->bits) - 1;
  for (uint32 group = 0; group < answer->count; group++) {
    CHECK_FOR_INTERRUPTS();
    uint32 slot = static_cast<uint32>(hash_group(answer, group) >> (64 - answer->bits));
    while (slots[slot] != 0) slot = (slot + 1) & mask;
    slots[slot] = group + 1;
  }
}

// The number in `answer` of group number `group` of another answer of the same type.
int find_same(const Answer *answer, const Answer *other, uint32 group) {
  switch (other->type) {
    case IdType::uuid:
      return find_group(answer, other->at<UuidKey>(other->groups)[group]);
    case IdType::bigint:
      return find_group(answer, other->at<int64>(other->groups)[group]);
    case IdType::text: {
      const TextKey key = other->at<TextKey>(other->groups)[group];
      return find_group(answer, other->at<char>(key.offset), key.length);
    }
  }
  pg_unreachable();
}

}  // namespace

Answer *make_answer(IdType type, MembershipRow *rows, uint32 count, const char *texts, MemoryContext memory) {
  std::sort(rows, rows + count, [=](const MembershipRow &left, const MembershipRow &right) {
    const int order = compare_groups(type, texts, left, right);
    return order != 0 ? order < 0 : compare_keys(texts, left.role, right.role) < 0;
  });
  uint32 groups = 0;
  for (uint32 i = 0; i < count; i++) {
    if (i == 0 || compare_groups(type, texts, rows[i - 1], rows[i]) != 0) groups++;
  }
  const size_t groups_at = MAXALIGN(sizeof(Answer));
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
  Answer *answer = static_cast<Answer *>(MemoryContextAllocZero(memory, size));
  answer->size = static_cast<uint32>(size);
  answer->type = type;
  answer->count = groups;
  answer->groups = static_cast<uint32>(groups_at);
  answer->first_roles = static_cast<uint32>(first_roles_at);
  answer->roles = static_cast<uint32>(roles_at);
  answer->slots = static_cast<uint32>(slots_at);
  answer->bits = bits;
  answer->seed = pg_prng_uint64(&pg_global_prng_state);
  Writer writer = {answer, texts, static_cast<uint32>(texts_at)};
  uint32 *first_roles = reinterpret_cast<uint32 *>(reinterpret_cast<char *>(answer) + first_roles_at);
  TextKey *roles = reinterpret_cast<TextKey *>(reinterpret_cast<char *>(answer) + roles_at);
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
  fill_slots(answer);
  return answer;
}

UuidKey uuid_key(const pg_uuid_t *uuid) {
  uint64 halves[2];
  memcpy(halves, uuid->data, sizeof halves);
  return {pg_ntoh64(halves[0]), pg_ntoh64(halves[1])};
}

int find_group(const Answer *answer, UuidKey wanted) {
  const UuidKey *keys = answer->at<UuidKey>(answer->groups);
  return find(answer, hash_of(wanted, answer->seed), [=](uint32 group) { return keys[group] == wanted; });
}

int find_group(const Answer *answer, int64 wanted) {
  const int64 *keys = answer->at<int64>(answer->groups);
  return find(answer, hash_of(wanted, answer->seed), [=](uint32 group) { return keys[group] == wanted; });
}

int find_group(const Answer *answer, const char *text, uint32 length) {
  const TextKey *keys = answer->at<TextKey>(answer->groups);
  return find(answer, hash_of(text, length, answer->seed), [=](uint32 group) {
    return keys[group].length == length && memcmp(answer->at<char>(keys[group].offset), text, length) == 0;
  });
}

bool has_role(const Answer *answer, int group, const char *role, uint32 length) {
  const uint32 *first = answer->at<uint32>(answer->first_roles) + group;
  const TextKey *roles = answer->at<TextKey>(answer->roles);
  for (uint32 i = first[0]; i < first[1]; i++) {
    if (roles[i].length == length && memcmp(answer->at<char>(roles[i].offset), role, length) == 0) return true;
  }
  return false;
}

bool nothing_lost(const Answer *before, const Answer *now) {
  if (before == now) return true;
  if (before->type != now->type) return before->count == 0;
  const uint32 *first = before->at<uint32>(before->first_roles);
  const TextKey *roles = before->at<TextKey>(before->roles);
  for (uint32 i = 0; i < before->count; i++) {
    const int group = find_same(now, before, i);
    if (group < 0) return false;
    for (uint32 role = first[i]; role < first[i + 1]; role++) {
      if (!has_role(now, group, before->at<char>(roles[role].offset), roles[role].length)) return false;
    }
  }
  return true;
}

ArrayType *groups_array(const Answer *answer, uint32 limit) {
  const uint32 step = limit > 0 && answer->count > limit ? answer->count / limit : 1;
  Datum *groups = datum_space(answer);
  uint32 count = 0;
  for (uint32 i = 0; i < answer->count; i += step) groups[count++] = group_datum(answer, i);
  return to_array(answer->type, groups, count);
}

ArrayType *groups_array_of_role(const Answer *answer, const char *role, uint32 length) {
  Datum *groups = datum_space(answer);
  uint32 count = 0;
  for (uint32 i = 0; i < answer->count; i++) {
    if (has_role(answer, static_cast<int>(i), role, length)) groups[count++] = group_datum(answer, i);
  }
  return to_array(answer->type, groups, count);
}

}  // namespace rls_tenant
