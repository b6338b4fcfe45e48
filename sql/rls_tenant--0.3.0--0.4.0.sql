-- rls_tenant 0.3.0 to 0.4.0: finding out.

\echo Use "ALTER EXTENSION rls_tenant UPDATE TO '0.4.0'" to load this file. \quit
