-- rls_tenant 0.5.0 to 0.6.0: the patterns that teams use.

\echo Use "ALTER EXTENSION rls_tenant UPDATE TO '0.6.0'" to load this file. \quit

-- Public rows

-- Column rules

-- Roles

-- Work over all tenants

-- A setting of the application's own
