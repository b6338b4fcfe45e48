-- On no table; on a table that the application only reads; disabled; of an owner whom policies hold; as the invoker.
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('orders');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('notes');
GRANT SELECT ON notes TO app;
CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS
  'BEGIN PERFORM max(id) FROM orders; RETURN NEW; END';
RESET ROLE;
CREATE FUNCTION unused() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS
  'BEGIN PERFORM max(id) FROM orders; RETURN NEW; END';
CREATE FUNCTION read_only() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS
  'BEGIN PERFORM max(id) FROM orders; RETURN NEW; END';
CREATE FUNCTION disabled() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS
  'BEGIN PERFORM max(id) FROM orders; RETURN NEW; END';
CREATE FUNCTION invoked() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS
  'BEGIN PERFORM max(id) FROM orders; RETURN NEW; END';
CREATE TRIGGER held AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION held();
CREATE TRIGGER read_only AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION read_only();
CREATE TRIGGER disabled AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION disabled();
ALTER TABLE orders DISABLE TRIGGER disabled;
CREATE TRIGGER invoked AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION invoked();
