-- Tenant tables: protect(), what its policies call, and the list of the tables that are protected.

-- In the membership form tenant_access says who sees what of the rows that tenant_isolation lets through, and no more.
-- It calls with_tenant_isolation(), so that it goes where tenant_isolation goes: with the extension. The planner sees
-- true.
CREATE FUNCTION rls_tenant.tenant_isolation_support(internal) RETURNS internal
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_tenant_isolation_support';
REVOKE ALL ON FUNCTION rls_tenant.tenant_isolation_support(internal) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.tenant_isolation_support(internal) IS
  'planner support: puts true in the place of with_tenant_isolation()';

CREATE FUNCTION rls_tenant.with_tenant_isolation() RETURNS boolean
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE SUPPORT rls_tenant.tenant_isolation_support
AS 'MODULE_PATHNAME', 'rls_tenant_with_tenant_isolation';
COMMENT ON FUNCTION rls_tenant.with_tenant_isolation() IS
  'true: in a policy that relies on tenant_isolation, so that both go with the extension; protect() writes it';

CREATE FUNCTION rls_tenant.tenant_tables(OUT relation regclass, OUT tenant_column name, OUT ancestor regclass)
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_tenant_tables';
COMMENT ON FUNCTION rls_tenant.tenant_tables() IS
  'the tables whose policies keep tenants apart, with their partitions and children; tenant_column is NULL where '
  'another table says whose a row is';

CREATE FUNCTION rls_tenant.protect(relation regclass, tenant_column name DEFAULT NULL, access text DEFAULT NULL,
  membership text DEFAULT NULL,
  public_read text DEFAULT NULL) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_protect';
COMMENT ON FUNCTION rls_tenant.protect(regclass, name, text, text, text) IS
  'makes a table a tenant table, as the caller: runs what protect_sql() says. May be run again. tenant_column: '
  'default rls_tenant.tenant_column; access: who sees which of the tenant''s rows, default all (or what the table '
  'says already); membership: the source by which users see the rows of all tenants that they are members of, empty '
  'for the tenant of the context, default what the table has, or else the tenant of the context; public_read: a '
  'condition on the row''s columns by which every tenant may read a row (22023 if it asks for anything else), empty '
  'for none, default what the table has';

CREATE FUNCTION rls_tenant.protect_sql(relation regclass, tenant_column name DEFAULT NULL, access text DEFAULT NULL,
  membership text DEFAULT NULL,
  public_read text DEFAULT NULL) RETURNS SETOF text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_protect_sql';
COMMENT ON FUNCTION rls_tenant.protect_sql(regclass, name, text, text, text) IS
  'the statements that a table still needs to be a tenant table, in order, for a migration file; no row if it is '
  'one. Run one by one they leave it open at no moment';
