// What PostgreSQL keeps of a setting whose library is not loaded: a placeholder, with the value of the highest source.

#include "postgres/hidden_setting.hpp"

#include "postgres/compat.hpp"

namespace rls_tenant {

void refuse_hidden_setting(const char *name) {
  if (InitializingParallelWorker) return;
  const config_generic *placeholder = compat::find_setting(name);
  if (placeholder == nullptr || (placeholder->flags & GUC_CUSTOM_PLACEHOLDER) == 0) return;
  if (placeholder->reset_source != PGC_S_CLIENT) return;
  // Whoever may set it may do so by an option, too.
  if (pg_parameter_aclcheck(name, placeholder->reset_srole, ACL_SET) == ACLCHECK_OK) return;
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("%s cannot be set by a connection option", name),
                  errdetail("It would hide what a DBA has set for the role or database."),
                  errhint("Connect without the option. Superusers and roles with SET on the parameter may set it.")));
}

}  // namespace rls_tenant
