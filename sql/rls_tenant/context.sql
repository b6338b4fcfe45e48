-- The schema, and the context: whom a transaction stands for.
--
-- Everything lies in the schema rls_tenant, which the extension makes itself: a schema that somebody else had made
-- could hold functions of theirs.

CREATE SCHEMA rls_tenant;
GRANT USAGE ON SCHEMA rls_tenant TO PUBLIC;
COMMENT ON SCHEMA rls_tenant IS 'rls_tenant: row-level security as a tenant boundary';

-- A dump repeats the comment, which fails for who does not own the extension; with -1 so does everything. The control
-- file keeps it, for pg_available_extensions.
COMMENT ON EXTENSION rls_tenant IS NULL;

-- Context: reading
--
-- A policy calls current_tenant_uuid(). Its argument defaults to the stable function tenant_setting(), so it is a pure
-- function of its argument, and PostgreSQL sees by itself that an index or a partition key on it would not hold still.
-- The support function puts fast_tenant_uuid(), which looks nothing up, in the place of the call.
CREATE FUNCTION rls_tenant.context_support(internal) RETURNS internal
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_context_support';
REVOKE ALL ON FUNCTION rls_tenant.context_support(internal) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.context_support(internal) IS
  'planner support: puts the fast call in the place of a context function';

CREATE FUNCTION rls_tenant.tenant_setting() RETURNS text
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_tenant_setting';
COMMENT ON FUNCTION rls_tenant.tenant_setting() IS
  'the tenant of the context as text: the default argument of current_tenant_uuid(), _bigint() and _text()';

CREATE FUNCTION rls_tenant.fast_tenant_uuid() RETURNS uuid
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_tenant_uuid';
COMMENT ON FUNCTION rls_tenant.fast_tenant_uuid() IS 'what the planner puts in the place of current_tenant_uuid()';

CREATE FUNCTION rls_tenant.current_tenant_uuid(setting text DEFAULT rls_tenant.tenant_setting()) RETURNS uuid
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_tenant_uuid';
COMMENT ON FUNCTION rls_tenant.current_tenant_uuid(text) IS
  'the tenant that this transaction stands for, as uuid; raises 55000 if none is set (NULL with '
  'rls_tenant.missing_context = null) and 22P02 if it is not a uuid';

CREATE FUNCTION rls_tenant.fast_tenant_bigint() RETURNS bigint
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_tenant_bigint';
COMMENT ON FUNCTION rls_tenant.fast_tenant_bigint() IS 'what the planner puts in the place of current_tenant_bigint()';

CREATE FUNCTION rls_tenant.current_tenant_bigint(setting text DEFAULT rls_tenant.tenant_setting()) RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_tenant_bigint';
COMMENT ON FUNCTION rls_tenant.current_tenant_bigint(text) IS
  'the tenant that this transaction stands for, as bigint; raises 55000 if none is set (NULL with '
  'rls_tenant.missing_context = null) and 22P02 if it is not a bigint';

CREATE FUNCTION rls_tenant.fast_tenant_text() RETURNS text
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_tenant_text';
COMMENT ON FUNCTION rls_tenant.fast_tenant_text() IS 'what the planner puts in the place of current_tenant_text()';

CREATE FUNCTION rls_tenant.current_tenant_text(setting text DEFAULT rls_tenant.tenant_setting()) RETURNS text
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_tenant_text';
COMMENT ON FUNCTION rls_tenant.current_tenant_text(text) IS
  'the tenant that this transaction stands for, as text; raises 55000 if none is set (NULL with '
  'rls_tenant.missing_context = null)';

CREATE FUNCTION rls_tenant.account_setting() RETURNS text
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_account_setting';
COMMENT ON FUNCTION rls_tenant.account_setting() IS
  'the account of the context as text: the default argument of current_account_uuid(), _bigint() and _text()';

CREATE FUNCTION rls_tenant.fast_account_uuid() RETURNS uuid
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_account_uuid';
COMMENT ON FUNCTION rls_tenant.fast_account_uuid() IS 'what the planner puts in the place of current_account_uuid()';

CREATE FUNCTION rls_tenant.current_account_uuid(setting text DEFAULT rls_tenant.account_setting()) RETURNS uuid
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_account_uuid';
COMMENT ON FUNCTION rls_tenant.current_account_uuid(text) IS
  'the account that this transaction stands for, as uuid; raises 55000 if none is set (NULL with '
  'rls_tenant.missing_context = null) and 22P02 if it is not a uuid';

CREATE FUNCTION rls_tenant.fast_account_bigint() RETURNS bigint
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_account_bigint';
COMMENT ON FUNCTION rls_tenant.fast_account_bigint() IS
  'what the planner puts in the place of current_account_bigint()';

CREATE FUNCTION rls_tenant.current_account_bigint(setting text DEFAULT rls_tenant.account_setting()) RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_account_bigint';
COMMENT ON FUNCTION rls_tenant.current_account_bigint(text) IS
  'the account that this transaction stands for, as bigint; raises 55000 if none is set (NULL with '
  'rls_tenant.missing_context = null) and 22P02 if it is not a bigint';

CREATE FUNCTION rls_tenant.fast_account_text() RETURNS text
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_account_text';
COMMENT ON FUNCTION rls_tenant.fast_account_text() IS 'what the planner puts in the place of current_account_text()';

CREATE FUNCTION rls_tenant.current_account_text(setting text DEFAULT rls_tenant.account_setting()) RETURNS text
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_account_text';
COMMENT ON FUNCTION rls_tenant.current_account_text(text) IS
  'the account that this transaction stands for, as text; raises 55000 if none is set (NULL with '
  'rls_tenant.missing_context = null)';

CREATE FUNCTION rls_tenant.user_setting() RETURNS text
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_user_setting';
COMMENT ON FUNCTION rls_tenant.user_setting() IS
  'the user of the context as text: the default argument of current_user_uuid(), _bigint() and _text()';

CREATE FUNCTION rls_tenant.fast_user_uuid() RETURNS uuid
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_user_uuid';
COMMENT ON FUNCTION rls_tenant.fast_user_uuid() IS 'what the planner puts in the place of current_user_uuid()';

CREATE FUNCTION rls_tenant.current_user_uuid(setting text DEFAULT rls_tenant.user_setting()) RETURNS uuid
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_user_uuid';
COMMENT ON FUNCTION rls_tenant.current_user_uuid(text) IS
  'the user that this transaction stands for, as uuid; raises 55000 if none is set (NULL with '
  'rls_tenant.missing_context = null) and 22P02 if it is not a uuid';

CREATE FUNCTION rls_tenant.fast_user_bigint() RETURNS bigint
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_user_bigint';
COMMENT ON FUNCTION rls_tenant.fast_user_bigint() IS 'what the planner puts in the place of current_user_bigint()';

CREATE FUNCTION rls_tenant.current_user_bigint(setting text DEFAULT rls_tenant.user_setting()) RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_user_bigint';
COMMENT ON FUNCTION rls_tenant.current_user_bigint(text) IS
  'the user that this transaction stands for, as bigint; raises 55000 if none is set (NULL with '
  'rls_tenant.missing_context = null) and 22P02 if it is not a bigint';

CREATE FUNCTION rls_tenant.fast_user_text() RETURNS text
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_fast_user_text';
COMMENT ON FUNCTION rls_tenant.fast_user_text() IS 'what the planner puts in the place of current_user_text()';

CREATE FUNCTION rls_tenant.current_user_text(setting text DEFAULT rls_tenant.user_setting()) RETURNS text
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT rls_tenant.context_support
AS 'MODULE_PATHNAME', 'rls_tenant_current_user_text';
COMMENT ON FUNCTION rls_tenant.current_user_text(text) IS
  'the user that this transaction stands for, as text; raises 55000 if none is set (NULL with '
  'rls_tenant.missing_context = null)';

-- Context: setting and showing
CREATE FUNCTION rls_tenant.set_context(tenant_id text, account_id text DEFAULT NULL, user_id text DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_set_context_text';
COMMENT ON FUNCTION rls_tenant.set_context(text, text, text) IS
  'sets the context to the end of the transaction; account and user go back to their default where NULL; raises '
  '22004 or 22023 without a tenant, 25001 if another one was set or read before';

CREATE FUNCTION rls_tenant.set_context(tenant_id uuid, account_id uuid DEFAULT NULL, user_id uuid DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_set_context_uuid';
COMMENT ON FUNCTION rls_tenant.set_context(uuid, uuid, uuid) IS
  'sets the context to the end of the transaction; account and user go back to their default where NULL; raises '
  '22004 or 22023 without a tenant, 25001 if another one was set or read before';

CREATE FUNCTION rls_tenant.set_context(tenant_id bigint, account_id bigint DEFAULT NULL, user_id bigint DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_set_context_bigint';
COMMENT ON FUNCTION rls_tenant.set_context(bigint, bigint, bigint) IS
  'sets the context to the end of the transaction; account and user go back to their default where NULL; raises '
  '22004 or 22023 without a tenant, 25001 if another one was set or read before';

CREATE FUNCTION rls_tenant.clear_context() RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_clear_context';
COMMENT ON FUNCTION rls_tenant.clear_context() IS
  'takes tenant, account and user back to their defaults; raises 25001 if one of them was set or read before';

CREATE FUNCTION rls_tenant.current_context(
  OUT tenant_id text, OUT tenant_source text, OUT account_id text, OUT account_source text, OUT user_id text,
    OUT user_source text)
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_current_context';
COMMENT ON FUNCTION rls_tenant.current_context() IS
  'the context in one row, and where each value came from: transaction, role, database, …; NULL where unset. Does '
  'not bind the transaction';
