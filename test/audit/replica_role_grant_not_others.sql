-- Another parameter; and a superuser.
RESET ROLE;
CREATE ROLE root SUPERUSER;
GRANT SET ON PARAMETER session_replication_role TO root;
GRANT SET ON PARAMETER log_min_messages TO app;
