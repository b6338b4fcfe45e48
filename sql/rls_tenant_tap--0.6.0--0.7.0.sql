-- rls_tenant_tap 0.6.0 to 0.7.0: nothing but the version.

\echo Use "ALTER EXTENSION rls_tenant_tap UPDATE TO '0.7.0'" to load this file. \quit
