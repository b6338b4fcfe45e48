-- Exempt, by a pattern; not what it does not match.
-- expect: risk no_tenant_column table public."refXdata"
-- remedy: by hand
CREATE TABLE ref_country (code text PRIMARY KEY);
CREATE TABLE "refXdata" (code text PRIMARY KEY);
RESET ROLE;
SELECT rls_tenant.exempt('public', 'ref\_%', 'reference data');
