-- Functions whose names must be quoted, with arguments.
-- expect: leak definer_function function public."f*/ (x"(text,integer[])
-- expect: risk definer_search_path function public."f*/ (x"(text,integer[])
-- expect: risk leakproof_function function public."f*/ (x"(text,integer[])
-- expect: risk search_path_helper function "S'1"."help""er"(bigint)
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE SCHEMA "S'1";
CREATE FUNCTION "S'1"."help""er"(bigint) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true';
CREATE POLICY helped ON orders AS RESTRICTIVE FOR SELECT USING ("S'1"."help""er"(id));
RESET ROLE;
CREATE FUNCTION "f*/ (x"(a text, b int[], OUT c bigint) LANGUAGE sql SECURITY DEFINER LEAKPROOF AS 'SELECT count(*) FROM orders';
