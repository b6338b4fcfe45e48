-- What belongs to an extension of a role that is no superuser is not passed over.
-- expect: leak rls_off table public.mine
RESET ROLE;
GRANT CREATE ON DATABASE odd_extension_of_a_user TO owner;
SET ROLE owner;
CREATE EXTENSION citext SCHEMA public;
CREATE TABLE mine (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
ALTER EXTENSION citext ADD TABLE mine;
