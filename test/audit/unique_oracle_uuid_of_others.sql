-- A uuid that refers to what several tenants know is no secret.
-- expect: risk unique_oracle table public.profiles
CREATE TABLE people (id uuid PRIMARY KEY);
RESET ROLE;
SELECT rls_tenant.exempt('public', 'people', 'the same for all');
SET ROLE owner;
CREATE TABLE profiles (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, person uuid UNIQUE REFERENCES people);
SELECT rls_tenant.protect('profiles');
GRANT SELECT, INSERT, UPDATE, DELETE ON profiles TO app;
