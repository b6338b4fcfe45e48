-- rls_tenant 0.2.0 to 0.3.0: the guard, complete.

\echo Use "ALTER EXTENSION rls_tenant UPDATE TO '0.3.0'" to load this file. \quit

-- Restoring as a role that is no superuser
--
-- A dump copies the rows of the configuration tables. Everybody may INSERT; a trigger decides, before constraints and
-- unique indexes could tell of other rows.

CREATE FUNCTION rls_tenant.check_configuration_row() RETURNS trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rls_tenant_check_configuration_row';
REVOKE ALL ON FUNCTION rls_tenant.check_configuration_row() FROM PUBLIC;
COMMENT ON FUNCTION rls_tenant.check_configuration_row() IS 'row trigger on the configuration tables: lets in a row that a role restores whose guard is off, for schemas in which it may make tables and relations that it owns; 42501 else. Raises 39P01 when called otherwise';

-- Their names come first: triggers fire in the order of names.
CREATE TRIGGER rls_tenant_check BEFORE INSERT ON rls_tenant.exemption
FOR EACH ROW EXECUTE FUNCTION rls_tenant.check_configuration_row();
ALTER TABLE rls_tenant.exemption ENABLE ALWAYS TRIGGER rls_tenant_check;
CREATE TRIGGER rls_tenant_check BEFORE INSERT ON rls_tenant.membership_source
FOR EACH ROW EXECUTE FUNCTION rls_tenant.check_configuration_row();
ALTER TABLE rls_tenant.membership_source ENABLE ALWAYS TRIGGER rls_tenant_check;
GRANT INSERT ON rls_tenant.exemption, rls_tenant.membership_source TO PUBLIC;

-- A dump repeats the comment, which fails for who does not own the extension; with -1 so does everything. The control file
-- keeps it, for pg_available_extensions.
COMMENT ON EXTENSION rls_tenant IS NULL;
