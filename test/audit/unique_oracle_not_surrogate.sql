-- Keys that are generated, alone or beside others; and with the tenant.
CREATE TABLE events (id uuid DEFAULT gen_random_uuid(), at timestamptz, tenant_id uuid, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
SELECT rls_tenant.protect('events');
CREATE TABLE items (id bigserial PRIMARY KEY, tenant_id uuid, code text, UNIQUE (code, tenant_id));
SELECT rls_tenant.protect('items');
CREATE TABLE things (id uuid PRIMARY KEY, tenant_id uuid, token uuid UNIQUE, code text);
SELECT rls_tenant.protect('things');
CREATE INDEX ON things (code);
