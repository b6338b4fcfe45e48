// Running what a relation's owner has written with no other rights than the owner's.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// Runs fn as a role, restricted as maintenance commands are; security: further SECURITY_… bits.
template <typename Fn>
void as_role(Oid role, int security, Fn fn) {
  static_assert(jump_safe<Fn>);
  Oid user;
  int before;
  GetUserIdAndSecContext(&user, &before);
  SetUserIdAndSecContext(role, before | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION | security);
  fn();
  SetUserIdAndSecContext(user, before);
}

// The owner of a relation; InvalidOid: there is no such relation.
inline Oid relation_owner(Oid relid) {
  Oid owner = InvalidOid;
  with_syscache(RELOID, ObjectIdGetDatum(relid),
                [&](HeapTuple tuple) { owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner; });
  return owner;
}

// The same; an error where there is no such relation (any more): nothing may run as a role that is none.
inline Oid owner_of_existing(Oid relid) {
  const Oid owner = relation_owner(relid);
  if (!OidIsValid(owner)) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation with OID %u does not exist", relid),
                    errdetail("It was dropped meanwhile."), errhint("Run the statement again.")));
  }
  return owner;
}

// Runs fn as the relation's owner.
template <typename Fn>
void as_owner(Oid relid, int security, Fn fn) {
  as_role(owner_of_existing(relid), security, fn);
}

}  // namespace rls_tenant
