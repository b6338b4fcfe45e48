-- The database of doc/audit.png, for tools/audit_screenshot: an application half way to rls_tenant.

CREATE ROLE billing NOLOGIN;
CREATE ROLE web LOGIN;
CREATE ROLE reports LOGIN BYPASSRLS;
CREATE SCHEMA billing AUTHORIZATION billing;
CREATE EXTENSION rls_tenant;
SET rls_tenant.guard = off;
SET client_min_messages = warning;
SET ROLE billing;
SET search_path = billing;

-- As it should be.
SELECT format('CREATE TABLE %I (tenant_id uuid, %1$s_id uuid DEFAULT gen_random_uuid(), PRIMARY KEY (tenant_id, %1$s_id))', name)
FROM unnest('{customer,contact,product,price,plan,usage,credit_note,dunning,mandate,bank_account,tax_rate,reminder}'::text[]) name
\gexec
SELECT rls_tenant.protect(oid) FROM pg_class WHERE relnamespace = 'billing'::regnamespace AND relkind = 'r';

-- As it should not.
CREATE TABLE invoice (tenant_id uuid NOT NULL, invoice_id bigint PRIMARY KEY, number text UNIQUE, total numeric NOT NULL);
CREATE TABLE payment (tenant_id uuid NOT NULL, payment_id uuid PRIMARY KEY, invoice_id bigint REFERENCES invoice, reference text UNIQUE);
SELECT rls_tenant.protect('invoice'), rls_tenant.protect('payment');
CREATE VIEW open_invoice AS SELECT * FROM invoice;
CREATE TABLE invoice_line (tenant_id uuid, line_id bigint, invoice_id bigint, amount numeric);
CREATE TABLE subscription (tenant_id uuid NOT NULL, subscription_id uuid PRIMARY KEY);
ALTER TABLE subscription ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_tenant ON subscription USING (tenant_id::text = current_setting('app.tenant'));
CREATE TABLE document (tenant_id uuid NOT NULL, document_id uuid, shared boolean, PRIMARY KEY (tenant_id, document_id));
ALTER TABLE document ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON document USING (tenant_id = rls_tenant.current_tenant_uuid() OR shared);
CREATE TABLE webhook (tenant_id uuid, webhook_id uuid PRIMARY KEY);
ALTER TABLE webhook ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON webhook USING (tenant_id = rls_tenant.current_tenant_uuid());
CREATE TABLE import_batch (batch_id bigint PRIMARY KEY);
CREATE TABLE country (code text PRIMARY KEY);
CREATE TABLE exchange_rate (currency text, day date, PRIMARY KEY (currency, day));
CREATE TABLE legacy_ledger (tenant_id integer NOT NULL, entry bigint PRIMARY KEY);
CREATE MATERIALIZED VIEW revenue AS SELECT tenant_id, sum(total) FROM invoice GROUP BY 1 WITH NO DATA;
CREATE FUNCTION invoice_total(tenant uuid) RETURNS numeric LANGUAGE sql SECURITY DEFINER AS 'SELECT sum(total) FROM invoice WHERE tenant_id = tenant';
GRANT USAGE ON SCHEMA billing TO web, reports;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA billing TO web;
GRANT SELECT ON customer, invoice, payment TO reports;
GRANT TRUNCATE ON payment TO web;
GRANT SELECT ON price TO PUBLIC;
RESET ROLE;
ALTER FUNCTION invoice_total(uuid) OWNER TO reports;
SELECT rls_tenant.exempt('billing', 'country', 'the same for every tenant', '{no_tenant_column}');
SELECT rls_tenant.exempt('billing', 'exchange\_rate', 'the same for every tenant; the central bank publishes them', '{no_tenant_column}');
SELECT rls_tenant.exempt('billing', 'legacy\_ledger', 'only the nightly export reads it; gone with release 12', '{rls_off}');
