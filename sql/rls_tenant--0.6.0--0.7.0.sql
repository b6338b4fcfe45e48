-- rls_tenant 0.6.0 to 0.7.0: the library alone.

\echo Use "ALTER EXTENSION rls_tenant UPDATE TO '0.7.0'" to load this file. \quit
