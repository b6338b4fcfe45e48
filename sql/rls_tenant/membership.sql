-- Memberships: which groups the user of the context is in.

-- Memberships: sources
--
-- A source says which relation tells who is in which group. The answers to "which groups is this user in" are kept by
-- each session; a row trigger on the tables that a source reads sends the message that ends them.
CREATE FUNCTION rls_tenant.note_membership_change() RETURNS trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_note_membership_change';
COMMENT ON FUNCTION rls_tenant.note_membership_change() IS
  'row trigger on the tables that membership sources read: ends the answers that sessions keep; add_membership() '
  'makes it. Raises 39P01 when called otherwise';

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
COMMENT ON TABLE rls_tenant.membership_source IS
  'the relations that say who is in which group; written by add_membership() and drop_membership() only';
COMMENT ON COLUMN rls_tenant.membership_source.name IS 'what is_member() calls it';
COMMENT ON COLUMN rls_tenant.membership_source.relation IS 'a table or view, asked with its owner''s rights';
COMMENT ON COLUMN rls_tenant.membership_source.user_column IS 'compared with the user of the context';
COMMENT ON COLUMN rls_tenant.membership_source.group_column IS 'the group; a row where it is NULL says nothing';
COMMENT ON COLUMN rls_tenant.membership_source.role_column IS
  'the user''s role in the group; NULL: the source tells no roles';
COMMENT ON COLUMN rls_tenant.membership_source.active IS
  'a condition on the relation''s columns, which holds for the rows that count; NULL: all do';

CREATE TRIGGER rls_tenant_membership BEFORE INSERT OR UPDATE OR DELETE ON rls_tenant.membership_source
FOR EACH ROW EXECUTE FUNCTION rls_tenant.note_membership_change();
ALTER TABLE rls_tenant.membership_source ENABLE ALWAYS TRIGGER rls_tenant_membership;

CREATE FUNCTION rls_tenant.add_membership(name text, relation regclass, user_column name, group_column name,
  role_column name DEFAULT NULL, active text DEFAULT NULL) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_add_membership';
REVOKE ALL ON FUNCTION rls_tenant.add_membership(text, regclass, name, name, name, text) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.add_membership(text, regclass, name, name, name, text) IS
  'makes a table or view a membership source, and puts the trigger on the tables that it reads; for the relation''s '
  'owner. active: a condition on its columns, of immutable functions and the clock. Raises 22004, 22023, 42501, '
  '42710, and 55000 for what cannot be a source';

CREATE FUNCTION rls_tenant.drop_membership(name text) RETURNS void
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_drop_membership';
REVOKE ALL ON FUNCTION rls_tenant.drop_membership(text) FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.drop_membership(text) IS
  'ends a membership source, for the relation''s owner: policies that ask it raise 42704 from then on. No such '
  'source: 42704; NULL does nothing';

CREATE FUNCTION rls_tenant.membership_sources(OUT name text, OUT relation regclass, OUT cached boolean, OUT detail text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_membership_sources';
REVOKE ALL ON FUNCTION rls_tenant.membership_sources() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.membership_sources() IS
  'the membership sources; whether sessions keep their answers from one transaction to the next, and if not, why';

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
COMMENT ON FUNCTION rls_tenant.forget_dropped_sources() IS
  'event trigger: a membership source ends with its relation, so that no other relation can take its place';

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
COMMENT ON FUNCTION rls_tenant.membership_support(internal) IS
  'planner support for is_member() and has_role(): index condition, selectivity, cost';

CREATE FUNCTION rls_tenant.member_groups_uuid(source text DEFAULT 'tenant', role text DEFAULT NULL) RETURNS uuid[]
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_member_groups_uuid';
COMMENT ON FUNCTION rls_tenant.member_groups_uuid(text, text) IS
  'the groups of the context''s user, sorted; only those in which the user has the role, if it is not NULL. Errors '
  'as for is_member()';

CREATE FUNCTION rls_tenant.member_groups_bigint(source text DEFAULT 'tenant', role text DEFAULT NULL) RETURNS bigint[]
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_member_groups_bigint';
COMMENT ON FUNCTION rls_tenant.member_groups_bigint(text, text) IS
  'the groups of the context''s user, sorted; only those in which the user has the role, if it is not NULL. Errors '
  'as for is_member()';

CREATE FUNCTION rls_tenant.member_groups_text(source text DEFAULT 'tenant', role text DEFAULT NULL) RETURNS text[]
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_member_groups_text';
COMMENT ON FUNCTION rls_tenant.member_groups_text(text, text) IS
  'the groups of the context''s user, sorted; only those in which the user has the role, if it is not NULL. Errors '
  'as for is_member()';

CREATE FUNCTION rls_tenant.index_groups_uuid(source text, role text) RETURNS uuid[]
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_index_groups_uuid';
COMMENT ON FUNCTION rls_tenant.index_groups_uuid(text, text) IS
  'what the planner makes an index condition of for is_member() and has_role(); while it estimates, some of the '
  'groups only. Use member_groups_uuid()';

CREATE FUNCTION rls_tenant.index_groups_bigint(source text, role text) RETURNS bigint[]
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_index_groups_bigint';
COMMENT ON FUNCTION rls_tenant.index_groups_bigint(text, text) IS
  'what the planner makes an index condition of for is_member() and has_role(); while it estimates, some of the '
  'groups only. Use member_groups_bigint()';

CREATE FUNCTION rls_tenant.index_groups_text(source text, role text) RETURNS text[]
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_index_groups_text';
COMMENT ON FUNCTION rls_tenant.index_groups_text(text, text) IS
  'what the planner makes an index condition of for is_member() and has_role(); while it estimates, some of the '
  'groups only. Use member_groups_text()';

CREATE FUNCTION rls_tenant.is_member(group_id uuid, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_is_member_uuid';
COMMENT ON FUNCTION rls_tenant.is_member(uuid, text) IS
  'whether the context''s user is in the group; NULL is no group. Raises 55000 without a user (NULL with '
  'rls_tenant.missing_context = null) or when the source is not usable, 42704 without such a source, 22004 for a '
  'source that is NULL, 42804 for groups of another type, 22P02 for a user of another type';

CREATE FUNCTION rls_tenant.has_role(group_id uuid, role text, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_has_role_uuid';
COMMENT ON FUNCTION rls_tenant.has_role(uuid, text, text) IS
  'whether the context''s user has the role in the group; NULL is no group and no role. Errors as for is_member()';

CREATE FUNCTION rls_tenant.member_role(group_id uuid, source text DEFAULT 'tenant') RETURNS text
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_member_role_uuid';
COMMENT ON FUNCTION rls_tenant.member_role(uuid, text) IS
  'the role of the context''s user in the group; NULL if there is none or the user is not a member. Raises 21000 where '
  'there are several, else as is_member()';

CREATE FUNCTION rls_tenant.is_member(group_id bigint, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_is_member_bigint';
COMMENT ON FUNCTION rls_tenant.is_member(bigint, text) IS
  'whether the context''s user is in the group; NULL is no group. Raises 55000 without a user (NULL with '
  'rls_tenant.missing_context = null) or when the source is not usable, 42704 without such a source, 22004 for a '
  'source that is NULL, 42804 for groups of another type, 22P02 for a user of another type';

CREATE FUNCTION rls_tenant.has_role(group_id bigint, role text, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_has_role_bigint';
COMMENT ON FUNCTION rls_tenant.has_role(bigint, text, text) IS
  'whether the context''s user has the role in the group; NULL is no group and no role. Errors as for is_member()';

CREATE FUNCTION rls_tenant.member_role(group_id bigint, source text DEFAULT 'tenant') RETURNS text
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_member_role_bigint';
COMMENT ON FUNCTION rls_tenant.member_role(bigint, text) IS
  'the role of the context''s user in the group; NULL if there is none or the user is not a member. Raises 21000 where '
  'there are several, else as is_member()';

CREATE FUNCTION rls_tenant.is_member(group_id integer, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_is_member_integer';
COMMENT ON FUNCTION rls_tenant.is_member(integer, text) IS
  'whether the context''s user is in the group; NULL is no group. Raises 55000 without a user (NULL with '
  'rls_tenant.missing_context = null) or when the source is not usable, 42704 without such a source, 22004 for a '
  'source that is NULL, 42804 for groups of another type, 22P02 for a user of another type';

CREATE FUNCTION rls_tenant.has_role(group_id integer, role text, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_has_role_integer';
COMMENT ON FUNCTION rls_tenant.has_role(integer, text, text) IS
  'whether the context''s user has the role in the group; NULL is no group and no role. Errors as for is_member()';

CREATE FUNCTION rls_tenant.member_role(group_id integer, source text DEFAULT 'tenant') RETURNS text
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_member_role_integer';
COMMENT ON FUNCTION rls_tenant.member_role(integer, text) IS
  'the role of the context''s user in the group; NULL if there is none or the user is not a member. Raises 21000 where '
  'there are several, else as is_member()';

CREATE FUNCTION rls_tenant.is_member(group_id smallint, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_is_member_smallint';
COMMENT ON FUNCTION rls_tenant.is_member(smallint, text) IS
  'whether the context''s user is in the group; NULL is no group. Raises 55000 without a user (NULL with '
  'rls_tenant.missing_context = null) or when the source is not usable, 42704 without such a source, 22004 for a '
  'source that is NULL, 42804 for groups of another type, 22P02 for a user of another type';

CREATE FUNCTION rls_tenant.has_role(group_id smallint, role text, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_has_role_smallint';
COMMENT ON FUNCTION rls_tenant.has_role(smallint, text, text) IS
  'whether the context''s user has the role in the group; NULL is no group and no role. Errors as for is_member()';

CREATE FUNCTION rls_tenant.member_role(group_id smallint, source text DEFAULT 'tenant') RETURNS text
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_member_role_smallint';
COMMENT ON FUNCTION rls_tenant.member_role(smallint, text) IS
  'the role of the context''s user in the group; NULL if there is none or the user is not a member. Raises 21000 where '
  'there are several, else as is_member()';

CREATE FUNCTION rls_tenant.is_member(group_id text, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_is_member_text';
COMMENT ON FUNCTION rls_tenant.is_member(text, text) IS
  'whether the context''s user is in the group; NULL is no group. Raises 55000 without a user (NULL with '
  'rls_tenant.missing_context = null) or when the source is not usable, 42704 without such a source, 22004 for a '
  'source that is NULL, 42804 for groups of another type, 22P02 for a user of another type';

CREATE FUNCTION rls_tenant.has_role(group_id text, role text, source text DEFAULT 'tenant') RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE SUPPORT rls_tenant.membership_support
AS 'MODULE_PATHNAME', 'rls_tenant_has_role_text';
COMMENT ON FUNCTION rls_tenant.has_role(text, text, text) IS
  'whether the context''s user has the role in the group; NULL is no group and no role. Errors as for is_member()';

CREATE FUNCTION rls_tenant.member_role(group_id text, source text DEFAULT 'tenant') RETURNS text
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rls_tenant_member_role_text';
COMMENT ON FUNCTION rls_tenant.member_role(text, text) IS
  'the role of the context''s user in the group; NULL if there is none or the user is not a member. Raises 21000 where '
  'there are several, else as is_member()';

CREATE FUNCTION rls_tenant.membership_cache(OUT users bigint, OUT bytes bigint, OUT evictions bigint,
  OUT queries bigint)
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'rls_tenant_membership_cache';
COMMENT ON FUNCTION rls_tenant.membership_cache() IS
  'what this session keeps of memberships: answers (one a user and source), their bytes, how many made room for '
  'others, and how many queries were put to sources since the session began';
