-- Who may silence triggers.
-- expect: risk replica_role_grant role app
RESET ROLE;
GRANT SET ON PARAMETER session_replication_role TO app;
