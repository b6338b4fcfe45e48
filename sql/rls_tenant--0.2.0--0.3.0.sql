-- rls_tenant 0.2.0 to 0.3.0: the guard, complete.

\echo Use "ALTER EXTENSION rls_tenant UPDATE TO '0.3.0'" to load this file. \quit
