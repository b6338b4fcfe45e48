-- Default privileges that do so for tables to come.
-- expect: risk public_grant default privileges tables of owner in schema public
-- expect: risk public_grant default privileges tables of owner
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT INSERT ON TABLES TO PUBLIC;
