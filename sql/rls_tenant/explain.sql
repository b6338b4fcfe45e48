-- Explaining

-- For everybody: it tells no more than the catalogs and the caller's own context, and reads rows only for a caller whom
-- no policy applies to.
CREATE FUNCTION rls_tenant.explain_access(relation regclass, row_filter text DEFAULT NULL, as_role name DEFAULT NULL,
  OUT row_key text, OUT command text, OUT allowed boolean, OUT policy name, OUT kind text, OUT condition text,
    OUT reason text) RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_explain_access';
COMMENT ON FUNCTION rls_tenant.explain_access(regclass, text, name) IS
  'which policies of a table hold for a role (default: the current one; else one that the caller may SET ROLE to) '
  'in this context, in the order in which PostgreSQL combines them; with row_filter, for a superuser or BYPASSRLS '
  'role, what the role may do with each of at most 100 rows, and what decided it. Writes nothing';

-- For everybody: it tells of the caller's own session.
CREATE FUNCTION rls_tenant.explain_context(OUT item text, OUT detail text) RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'rls_tenant_explain_context';
COMMENT ON FUNCTION rls_tenant.explain_context() IS
  'the context of this session in words: where it came from, what has been read and so stays, which plans and '
  'memberships are kept. Does not bind the transaction';
