-- Only the schemas asked for, and what is in none.
-- audit: SELECT * FROM rls_tenant.audit('b\_%')
-- expect: leak rls_off table b_1.t
-- expect: note pinned_context role role app
RESET ROLE;
ALTER ROLE app SET rls_tenant.tenant_id = '1';
CREATE SCHEMA b_1;
CREATE SCHEMA bx1;
CREATE TABLE b_1.t (tenant_id uuid NOT NULL);
CREATE TABLE bx1.t (tenant_id uuid NOT NULL);
