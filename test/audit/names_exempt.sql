-- A pattern takes % and _ to the letter where they are escaped.
-- expect: risk no_tenant_column table public.abc
-- remedy: by hand
-- expect: risk no_tenant_column table public."a\c"
-- remedy: by hand
CREATE TABLE a_c (n int);
CREATE TABLE abc (n int);
CREATE TABLE "a\c" (n int);
CREATE TABLE "50%" (n int);
RESET ROLE;
SELECT rls_tenant.exempt('public', 'a\_c', 'to the letter'), rls_tenant.exempt('public', '50\%', 'to the letter');
