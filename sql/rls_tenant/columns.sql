-- Column rules
CREATE FUNCTION rls_tenant.restrict_columns() RETURNS trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_restrict_columns';
COMMENT ON FUNCTION rls_tenant.restrict_columns() IS
  'trigger, AFTER INSERT OR UPDATE (on a partitioned table: OR DELETE) FOR EACH ROW: restrict_columns(''column, '
  '…'', ''role'' [, ''source'']) refuses (42501) a change of these columns, and a new row whose values there are '
  'not the defaults, unless the context''s user has the role in the row''s tenant by that membership source '
  '(without it: tenant), or the current database role has the privileges of the database role of that name; 55000 '
  'if the trigger is defined so that it cannot be enforced, or if there is neither such a source nor such a role';
