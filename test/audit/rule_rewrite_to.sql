-- A rule elsewhere that writes a tenant table with the rights of its owner.
-- expect: risk rule_rewrite rule fill on public.inbox
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE TABLE inbox (tenant_id uuid);
RESET ROLE;
SELECT rls_tenant.exempt('public', 'inbox', 'emptied by a rule', '{rls_off,tenant_nullable,exempt_but_tenant}');
SET ROLE owner;
CREATE RULE fill AS ON INSERT TO inbox DO ALSO INSERT INTO orders (tenant_id) VALUES (NEW.tenant_id);
