-- rls_tenant 0.1.0 to 0.2.0: memberships.

\echo Use "ALTER EXTENSION rls_tenant UPDATE TO '0.2.0'" to load this file. \quit

-- Memberships: sources
--
-- A source says which relation tells who is in which group. The answers to "which groups is this user in" are kept by each
-- session; a row trigger on the tables that a source reads sends the message that ends them.

CREATE FUNCTION rls_tenant.note_membership_change() RETURNS trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_note_membership_change';
COMMENT ON FUNCTION rls_tenant.note_membership_change() IS 'row trigger on the tables that membership sources read: ends the answers that sessions keep; add_membership() makes it. Raises 39P01 when called otherwise';

CREATE TABLE rls_tenant.membership_source (
  name text PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 63),
  relation regclass NOT NULL,
  user_column name NOT NULL,
  group_column name NOT NULL,
  role_column name,
  active text
);
REVOKE ALL ON rls_tenant.membership_source FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('rls_tenant.membership_source', '');
COMMENT ON TABLE rls_tenant.membership_source IS 'the relations that say who is in which group; written by add_membership() and drop_membership() only';
COMMENT ON COLUMN rls_tenant.membership_source.name IS 'what is_member() calls it';
COMMENT ON COLUMN rls_tenant.membership_source.relation IS 'a table or view, asked with its owner''s rights';
COMMENT ON COLUMN rls_tenant.membership_source.user_column IS 'compared with the user of the context';
COMMENT ON COLUMN rls_tenant.membership_source.group_column IS 'the group; a row where it is NULL says nothing';
COMMENT ON COLUMN rls_tenant.membership_source.role_column IS 'the user''s role in the group; NULL: the source tells no roles';
COMMENT ON COLUMN rls_tenant.membership_source.active IS 'a condition on the relation''s columns, which holds for the rows that count; NULL: all do';

CREATE TRIGGER rls_tenant_membership BEFORE INSERT OR UPDATE OR DELETE ON rls_tenant.membership_source
FOR EACH ROW EXECUTE FUNCTION rls_tenant.note_membership_change();
ALTER TABLE rls_tenant.membership_source ENABLE ALWAYS TRIGGER rls_tenant_membership;

CREATE FUNCTION rls_tenant.add_membership(name text, relation regclass, user_column name, group_column name, role_column name DEFAULT NULL, active text DEFAULT NULL) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_add_membership';
REVOKE ALL ON FUNCTION rls_tenant.add_membership(text, regclass, name, name, name, text) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.add_membership(text, regclass, name, name, name, text) IS 'makes a table or view a membership source, and puts the trigger on the tables that it reads; for the relation''s owner. active: a condition on its columns, of immutable functions and the clock. Raises 22004, 22023, 42501, 42710, and 55000 for what cannot be a source';

CREATE FUNCTION rls_tenant.drop_membership(name text) RETURNS void
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_drop_membership';
REVOKE ALL ON FUNCTION rls_tenant.drop_membership(text) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.drop_membership(text) IS 'ends a membership source, for the relation''s owner: policies that ask it raise 42704 from then on. No such source: 42704; NULL does nothing';

CREATE FUNCTION rls_tenant.membership_sources(OUT name text, OUT relation regclass, OUT cached boolean, OUT detail text) RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_membership_sources';
REVOKE ALL ON FUNCTION rls_tenant.membership_sources() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.membership_sources() IS 'the membership sources; whether sessions keep their answers from one transaction to the next, and if not, why';

CREATE FUNCTION rls_tenant.forget_dropped_sources() RETURNS event_trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  DELETE FROM rls_tenant.membership_source s
  USING pg_catalog.pg_event_trigger_dropped_objects() d
  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objsubid = 0 AND d.objid = s.relation;
END
$$;
REVOKE ALL ON FUNCTION rls_tenant.forget_dropped_sources() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.forget_dropped_sources() IS 'event trigger: a membership source ends with its relation, so that no other relation can take its place';

CREATE EVENT TRIGGER rls_tenant_membership ON sql_drop EXECUTE FUNCTION rls_tenant.forget_dropped_sources();
ALTER EVENT TRIGGER rls_tenant_membership ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER rls_tenant_membership IS 'rls_tenant: a membership source ends with its relation';

-- Memberships: checks
--
-- The support function gives the planner what a boolean function hides: an index condition, a selectivity, a cost.
-- Not LEAKPROOF: an error tells of the source, which may come from a row.

CREATE FUNCTION rls_tenant.membership_support(internal) RETURNS internal
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_membership_support';
REVOKE ALL ON FUNCTION rls_tenant.membership_support(internal) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.membership_support(internal) IS 'planner support for is_member() and has_role(): index condition, selectivity, cost';

CREATE FUNCTION rls_tenant.member_groups_uuid(source text DEFAULT 'tenant', role text DEFAULT NULL) RETURNS uuid[]
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_member_groups_uuid';
COMMENT ON FUNCTION rls_tenant.member_groups_uuid(text, text) IS 'the groups of the context''s user, sorted; only those in which the user has the role, if it is not NULL. Errors as for is_member()';

CREATE FUNCTION rls_tenant.member_groups_bigint(source text DEFAULT 'tenant', role text DEFAULT NULL) RETURNS bigint[]
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_member_groups_bigint';
COMMENT ON FUNCTION rls_tenant.member_groups_bigint(text, text) IS 'the groups of the context''s user, sorted; only those in which the user has the role, if it is not NULL. Errors as for is_member()';

CREATE FUNCTION rls_tenant.member_groups_text(source text DEFAULT 'tenant', role text DEFAULT NULL) RETURNS text[]
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_member_groups_text';
COMMENT ON FUNCTION rls_tenant.member_groups_text(text, text) IS 'the groups of the context''s user, sorted; only those in which the user has the role, if it is not NULL. Errors as for is_member()';

CREATE FUNCTION rls_tenant.index_groups_uuid(source text, role text) RETURNS uuid[]
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_index_groups_uuid';
COMMENT ON FUNCTION rls_tenant.index_groups_uuid(text, text) IS 'what the planner makes an index condition of for is_member() and has_role(); while it estimates, some of the groups only. Use member_groups_uuid()';

CREATE FUNCTION rls_tenant.index_groups_bigint(source text, role text) RETURNS bigint[]
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_index_groups_bigint';
COMMENT ON FUNCTION rls_tenant.index_groups_bigint(text, text) IS 'what the planner makes an index condition of for is_member() and has_role(); while it estimates, some of the groups only. Use member_groups_bigint()';

CREATE FUNCTION rls_tenant.index_groups_text(source text, role text) RETURNS text[]
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_index_groups_text';
COMMENT ON FUNCTION rls_tenant.index_groups_text(text, text) IS 'what the planner makes an index condition of for is_member() and has_role(); while it estimates, some of the groups only. Use member_groups_text()';

CREATE FUNCTION rls_tenant.is_member(group_id uuid, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_is_member_uuid';
COMMENT ON FUNCTION rls_tenant.is_member(uuid, text) IS 'whether the context''s user is in the group; NULL is no group. Raises 55000 without a user (NULL with rls_tenant.missing_context = null) or when the source is not usable, 42704 without such a source, 22004 for a source that is NULL, 42804 for groups of another type, 22P02 for a user of another type';

CREATE FUNCTION rls_tenant.has_role(group_id uuid, role text, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_has_role_uuid';
COMMENT ON FUNCTION rls_tenant.has_role(uuid, text, text) IS 'whether the context''s user has the role in the group; NULL is no group and no role. Errors as for is_member()';

CREATE FUNCTION rls_tenant.member_role(group_id uuid, source text DEFAULT 'tenant') RETURNS text
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_member_role_uuid';
COMMENT ON FUNCTION rls_tenant.member_role(uuid, text) IS 'the role of the context''s user in the group; NULL if there is none or the user is no member. Raises 21000 where there are several, else as is_member()';

CREATE FUNCTION rls_tenant.is_member(group_id bigint, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_is_member_bigint';
COMMENT ON FUNCTION rls_tenant.is_member(bigint, text) IS 'whether the context''s user is in the group; NULL is no group. Raises 55000 without a user (NULL with rls_tenant.missing_context = null) or when the source is not usable, 42704 without such a source, 22004 for a source that is NULL, 42804 for groups of another type, 22P02 for a user of another type';

CREATE FUNCTION rls_tenant.has_role(group_id bigint, role text, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_has_role_bigint';
COMMENT ON FUNCTION rls_tenant.has_role(bigint, text, text) IS 'whether the context''s user has the role in the group; NULL is no group and no role. Errors as for is_member()';

CREATE FUNCTION rls_tenant.member_role(group_id bigint, source text DEFAULT 'tenant') RETURNS text
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_member_role_bigint';
COMMENT ON FUNCTION rls_tenant.member_role(bigint, text) IS 'the role of the context''s user in the group; NULL if there is none or the user is no member. Raises 21000 where there are several, else as is_member()';

CREATE FUNCTION rls_tenant.is_member(group_id integer, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_is_member_integer';
COMMENT ON FUNCTION rls_tenant.is_member(integer, text) IS 'whether the context''s user is in the group; NULL is no group. Raises 55000 without a user (NULL with rls_tenant.missing_context = null) or when the source is not usable, 42704 without such a source, 22004 for a source that is NULL, 42804 for groups of another type, 22P02 for a user of another type';

CREATE FUNCTION rls_tenant.has_role(group_id integer, role text, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_has_role_integer';
COMMENT ON FUNCTION rls_tenant.has_role(integer, text, text) IS 'whether the context''s user has the role in the group; NULL is no group and no role. Errors as for is_member()';

CREATE FUNCTION rls_tenant.member_role(group_id integer, source text DEFAULT 'tenant') RETURNS text
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_member_role_integer';
COMMENT ON FUNCTION rls_tenant.member_role(integer, text) IS 'the role of the context''s user in the group; NULL if there is none or the user is no member. Raises 21000 where there are several, else as is_member()';

CREATE FUNCTION rls_tenant.is_member(group_id smallint, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_is_member_smallint';
COMMENT ON FUNCTION rls_tenant.is_member(smallint, text) IS 'whether the context''s user is in the group; NULL is no group. Raises 55000 without a user (NULL with rls_tenant.missing_context = null) or when the source is not usable, 42704 without such a source, 22004 for a source that is NULL, 42804 for groups of another type, 22P02 for a user of another type';

CREATE FUNCTION rls_tenant.has_role(group_id smallint, role text, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_has_role_smallint';
COMMENT ON FUNCTION rls_tenant.has_role(smallint, text, text) IS 'whether the context''s user has the role in the group; NULL is no group and no role. Errors as for is_member()';

CREATE FUNCTION rls_tenant.member_role(group_id smallint, source text DEFAULT 'tenant') RETURNS text
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_member_role_smallint';
COMMENT ON FUNCTION rls_tenant.member_role(smallint, text) IS 'the role of the context''s user in the group; NULL if there is none or the user is no member. Raises 21000 where there are several, else as is_member()';

CREATE FUNCTION rls_tenant.is_member(group_id text, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_is_member_text';
COMMENT ON FUNCTION rls_tenant.is_member(text, text) IS 'whether the context''s user is in the group; NULL is no group. Raises 55000 without a user (NULL with rls_tenant.missing_context = null) or when the source is not usable, 42704 without such a source, 22004 for a source that is NULL, 42804 for groups of another type, 22P02 for a user of another type';

CREATE FUNCTION rls_tenant.has_role(group_id text, role text, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_has_role_text';
COMMENT ON FUNCTION rls_tenant.has_role(text, text, text) IS 'whether the context''s user has the role in the group; NULL is no group and no role. Errors as for is_member()';

CREATE FUNCTION rls_tenant.member_role(group_id text, source text DEFAULT 'tenant') RETURNS text
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_member_role_text';
COMMENT ON FUNCTION rls_tenant.member_role(text, text) IS 'the role of the context''s user in the group; NULL if there is none or the user is no member. Raises 21000 where there are several, else as is_member()';

CREATE FUNCTION rls_tenant.membership_cache(OUT users bigint, OUT bytes bigint, OUT evictions bigint, OUT queries bigint)
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'rls_tenant_membership_cache';
COMMENT ON FUNCTION rls_tenant.membership_cache() IS 'what this session keeps of memberships: answers (one a user and source), their bytes, how many made room for others, and how many queries were put to sources since the session began';

-- Policies
--
-- In the membership form tenant_access says who sees what of the rows that tenant_isolation lets through, and no more. It
-- calls with_tenant_isolation(), so that it goes where tenant_isolation goes: with the extension. The planner sees true.

CREATE FUNCTION rls_tenant.tenant_isolation_support(internal) RETURNS internal
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_tenant_isolation_support';
REVOKE ALL ON FUNCTION rls_tenant.tenant_isolation_support(internal) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.tenant_isolation_support(internal) IS 'planner support: puts true in the place of with_tenant_isolation()';

CREATE FUNCTION rls_tenant.with_tenant_isolation() RETURNS boolean
LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE SUPPORT rls_tenant.tenant_isolation_support
AS 'MODULE_PATHNAME', 'rls_tenant_with_tenant_isolation';
COMMENT ON FUNCTION rls_tenant.with_tenant_isolation() IS 'true: in a policy that relies on tenant_isolation, so that both go with the extension; protect() writes it';

DROP FUNCTION rls_tenant.protect(regclass, name, text);
DROP FUNCTION rls_tenant.protect_sql(regclass, name, text);

CREATE FUNCTION rls_tenant.protect(relation regclass, tenant_column name DEFAULT NULL, access text DEFAULT NULL, membership text DEFAULT NULL) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_protect';
COMMENT ON FUNCTION rls_tenant.protect(regclass, name, text, text) IS 'makes a table a tenant table, as the caller: runs what protect_sql() says. May be run again. tenant_column: default rls_tenant.tenant_column; access: who sees which of the tenant''s rows, default all (or what the table says already); membership: the source by which users see the rows of all tenants that they are members of, empty for the tenant of the context, default what the table has, or else the tenant of the context';

CREATE FUNCTION rls_tenant.protect_sql(relation regclass, tenant_column name DEFAULT NULL, access text DEFAULT NULL, membership text DEFAULT NULL) RETURNS SETOF text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_protect_sql';
COMMENT ON FUNCTION rls_tenant.protect_sql(regclass, name, text, text) IS 'the statements that a table still needs to be a tenant table, in order, for a migration file; no row if it is one';

-- Guard: what drops leave behind, and more rules

CREATE FUNCTION rls_tenant.guard_note_drop() RETURNS event_trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_guard_note_drop';
REVOKE ALL ON FUNCTION rls_tenant.guard_note_drop() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.guard_note_drop() IS 'event trigger: notes the tables that the transaction takes policies or columns from, for the check at its end';

CREATE EVENT TRIGGER rls_tenant_guard_drop ON sql_drop EXECUTE FUNCTION rls_tenant.guard_note_drop();
ALTER EVENT TRIGGER rls_tenant_guard_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER rls_tenant_guard_drop IS 'rls_tenant: tables are checked at the end of the transaction that takes policies or columns from them';

CREATE OR REPLACE FUNCTION rls_tenant.table_rules() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '{no_tenant_column,tenant_nullable,rls_off,rls_off_with_policies,rls_not_forced,no_policy,only_restrictive,not_confined,always_true,floor_not_public,child_unprotected,unlike_parent,fk_crosses,rule_rewrite,view_bypass,matview,bypass_login}'::text[];

-- Views and materialised views can be exempt, too.

CREATE OR REPLACE FUNCTION rls_tenant.exempt(schema name, relation_pattern text, reason text, rules text[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  unknown text;
  matches bigint;
BEGIN
  IF coalesce($1, '') = '' OR coalesce($2, '') = '' OR coalesce($3, '') !~ '\S' THEN
    RAISE EXCEPTION 'an exemption needs a schema, a pattern and a reason'
      USING ERRCODE = 'null_value_not_allowed', DETAIL = 'One of them is NULL or empty.',
        HINT = 'SELECT rls_tenant.exempt(''schema'', ''table'', ''why it belongs to no tenant'');';
  END IF;
  IF $2 ~ '(^|[^\\])(\\\\)*\\$' THEN
    RAISE EXCEPTION 'the pattern "%" ends in an escape character', $2
      USING ERRCODE = 'invalid_escape_sequence', DETAIL = 'It is a pattern for LIKE.', HINT = 'Write \\ for a backslash.';
  END IF;
  IF pg_catalog.cardinality($4) = 0 OR pg_catalog.array_position($4, NULL) IS NOT NULL THEN
    RAISE EXCEPTION 'the list of rules is empty, or one of them is NULL'
      USING ERRCODE = 'invalid_parameter_value', DETAIL = 'rules names the rules that are waived.', HINT = 'NULL instead of a list waives all.';
  END IF;
  SELECT r INTO unknown FROM pg_catalog.unnest($4) r WHERE r <> ALL (rls_tenant.table_rules()) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'there is no rule "%"', unknown
      USING ERRCODE = 'invalid_parameter_value', DETAIL = 'rules names the rules that are waived; NULL waives all.',
        HINT = 'The rules are: ' || pg_catalog.array_to_string(rls_tenant.table_rules(), ', ') || '.';
  END IF;
  INSERT INTO rls_tenant.exemption AS e (schema_name, relation_pattern, rules, reason)
  VALUES ($1, $2, $4, $3)
  ON CONFLICT ON CONSTRAINT exemption_pkey
  DO UPDATE SET rules = excluded.rules, reason = excluded.reason, added_by = excluded.added_by, added_at = excluded.added_at;
  SELECT count(*) INTO matches
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname LIKE $2 AND c.relkind IN ('r', 'p', 'v', 'm');
  IF matches <> 1 THEN
    RAISE NOTICE 'the exemption covers % relations of schema "%" today', matches, $1;
  END IF;
END
$$;

CREATE OR REPLACE FUNCTION rls_tenant.baseline(reason text DEFAULT 'there before the guard') RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  added bigint;
BEGIN
  IF coalesce($1, '') !~ '\S' THEN
    RAISE EXCEPTION 'a baseline needs a reason'
      USING ERRCODE = 'null_value_not_allowed', DETAIL = 'It is NULL or empty.', HINT = 'SELECT rls_tenant.baseline(''why'');';
  END IF;
  INSERT INTO rls_tenant.exemption (schema_name, relation_pattern, rules, reason)
  SELECT n.nspname, pg_catalog.regexp_replace(c.relname, '([\\%_])', '\\\1', 'g'), pg_catalog.array_agg(DISTINCT f.rule), $1
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL rls_tenant.table_faults(c.oid) f
  WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'rls_tenant')
    AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::regclass
        AND (d.classid, d.objid) IN (('pg_catalog.pg_class'::regclass, c.oid), ('pg_catalog.pg_namespace'::regclass, n.oid)))
  GROUP BY n.nspname, c.relname
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS added = ROW_COUNT;
  RETURN added;
END
$$;

COMMENT ON TABLE rls_tenant.exemption IS 'tables and views that the guard lets be, each with a reason; written by exempt() and baseline()';
COMMENT ON COLUMN rls_tenant.exemption.relation_pattern IS 'a LIKE pattern for the names of tables and views; \_ is an underscore to the letter';
COMMENT ON FUNCTION rls_tenant.table_faults(regclass) IS 'the rules that a table or view breaks, whatever its exemptions, each with the statement that mends it';
COMMENT ON FUNCTION rls_tenant.exempt(name, text, text, text[]) IS 'lets the tables and views of a schema whose name is LIKE the pattern be, for a reason; rules: those that are waived, NULL for all; raises 22004, 22023 or 22025';
COMMENT ON FUNCTION rls_tenant.baseline(text) IS 'exempts every table and view that breaks rules today from just these rules, for adoption; gives the number of exemptions added';
