-- Roles whose names must be quoted.
-- expect: leak bypass_login role "app */; DROP TABLE public.orders; --"
-- expect: leak truncate_grant table public.orders
-- expect: note pinned_context role role app */; DROP TABLE public.orders; --
-- expect: leak owner_login role "o""w'n\\er"
-- expect: risk replica_role_grant role "app */; DROP TABLE public.orders; --"
-- expect: leak fdw_mapping user mapping app */; DROP TABLE public.orders; -- on server "s""1"
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
RESET ROLE;
CREATE ROLE "app */; DROP TABLE public.orders; --" LOGIN;
CREATE ROLE "b""; --" NOLOGIN BYPASSRLS;
GRANT "b""; --" TO "app */; DROP TABLE public.orders; --";
GRANT SELECT, TRUNCATE ON orders TO "app */; DROP TABLE public.orders; --";
ALTER ROLE "app */; DROP TABLE public.orders; --" SET rls_tenant.tenant_id = 'x''; --';
GRANT SET ON PARAMETER session_replication_role TO "app */; DROP TABLE public.orders; --";
CREATE EXTENSION postgres_fdw;
CREATE SERVER "s""1" FOREIGN DATA WRAPPER postgres_fdw;
CREATE USER MAPPING FOR "app */; DROP TABLE public.orders; --" SERVER "s""1" OPTIONS (user 'postgres');
CREATE ROLE "o""w'n\\er" LOGIN;
CREATE SCHEMA "s'1" AUTHORIZATION "o""w'n\\er";
SET ROLE "o""w'n\\er";
CREATE TABLE "s'1"."t""1" (id bigserial PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect($$"s'1"."t""1"$$);
