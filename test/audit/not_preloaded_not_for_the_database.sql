-- Set for the database; this session began otherwise.
-- options: -c session_preload_libraries=
RESET ROLE;
ALTER DATABASE not_preloaded_not_for_the_database SET session_preload_libraries = 'auto_explain', 'rls_tenant';
