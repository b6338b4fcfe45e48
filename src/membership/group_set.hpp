// The set of groups that a user is in, with the roles: sorted arrays and a hash table in one block of memory that has
// offsets in the place of pointers, so that a copy of its bytes is a copy of the set.
#pragma once

#include "context/id_type.hpp"

namespace rls_tenant {

// A uuid as two numbers that compare as its bytes do.
struct UuidKey {
  uint64 high, low;
};

// A text within the block.
struct TextKey {
  uint32 offset, length;
};

struct GroupSet {
  uint32 size;  // of the whole block
  IdType type;
  uint32 count;           // of groups
  bool depends_on_clock;  // so that it is good for one transaction
  uint32 groups;          // where they are: UuidKey[], int64[] or TextKey[], sorted, each once
  uint32 first_roles;     // where uint32[count + 1] is: the roles of group i are those from its to the next one's
  uint32 roles;           // where TextKey[] is
  uint32 slots;           // where uint32[1 << bits] is: numbers of groups plus 1 by their hash, 0: free
  uint32 bits;
  uint64 seed;  // of the hash, so that nobody can choose groups that collide

  template <typename T>
  const T *at(uint32 offset) const {
    return reinterpret_cast<const T *>(reinterpret_cast<const char *>(this) + offset);
  }
};
static_assert(std::is_trivially_copyable_v<GroupSet>);

// One membership, as it was read.
struct MembershipRow {
  union {
    UuidKey uuid;
    int64 bigint;
    TextKey text;  // into the memory at `texts`
  };
  TextKey role;  // likewise; of no length: none
};

// Makes a set of rows, which it sorts, in that memory.
GroupSet *make_group_set(IdType type, MembershipRow *rows, uint32 count, const char *texts, MemoryContext memory);

UuidKey uuid_key(const pg_uuid_t *uuid);

// The number of a group in the set, or -1.
int find_group(const GroupSet *set, UuidKey group);
int find_group(const GroupSet *set, int64 group);
int find_group(const GroupSet *set, const char *text, uint32 length);

// The user's roles in group number `group`.
struct Roles {
  const TextKey *names;
  uint32 count;
};
Roles roles_in(const GroupSet *set, int group);

// Whether the user has that role in group number `group`.
bool has_role(const GroupSet *set, int group, const char *role, uint32 length);

// Whether every group of `before` is in `now`, with all of its roles.
bool nothing_lost(const GroupSet *before, const GroupSet *now);

// The groups as an SQL array; if a limit is given, about that many of them, evenly spread.
ArrayType *groups_array(const GroupSet *set, uint32 limit = 0);
// Those in which the user has that role.
ArrayType *groups_array_of_role(const GroupSet *set, const char *role, uint32 length);

}  // namespace rls_tenant
