-- A small shop, as a careful person writes it: nothing is found.
RESET ROLE;
CREATE SCHEMA shop AUTHORIZATION owner;
GRANT USAGE ON SCHEMA shop TO app;
CREATE ROLE staff NOLOGIN;
GRANT staff TO app;
SELECT rls_tenant.exempt('shop', 'country', 'the same for all');
SET ROLE owner;
SET search_path = shop;
CREATE TABLE country (code text PRIMARY KEY);
CREATE TABLE tenant (tenant_id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
CREATE TABLE customer (tenant_id uuid NOT NULL REFERENCES tenant, id bigint GENERATED ALWAYS AS IDENTITY, email text NOT NULL,
  country text REFERENCES country, PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, email));
CREATE TABLE invoice (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id uuid NOT NULL, customer_id bigint,
  FOREIGN KEY (tenant_id, customer_id) REFERENCES customer ON DELETE CASCADE);
SELECT rls_tenant.protect('shop.tenant'), rls_tenant.protect('shop.customer'), rls_tenant.protect('shop.invoice');
CREATE VIEW overdue WITH (security_invoker = on) AS SELECT * FROM invoice;
CREATE VIEW by_owner AS SELECT * FROM customer;
CREATE FUNCTION total() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM shop.invoice';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON invoice FOR EACH ROW EXECUTE FUNCTION touch();
CREATE FUNCTION version() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT text ''1''';
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant, customer, invoice TO staff;
GRANT SELECT ON overdue, by_owner, country TO staff;
