-- The fan-out, part 1: roles, the application's tables, and leave for the queue's. As a superuser, in a database of its own.
-- Then the queue is installed, and part 2 is queue.sql (README.md).
CREATE EXTENSION IF NOT EXISTS rls_tenant;

CREATE ROLE shop_owner NOLOGIN;     -- owns the tables
CREATE ROLE web LOGIN;              -- the application that users talk to
CREATE ROLE fanout_queue NOLOGIN;   -- owns the queue: nobody else reads or writes jobs
CREATE ROLE fanout_worker LOGIN IN ROLE fanout_queue;  -- takes jobs; row-level security holds it as it holds web

BEGIN;
CREATE SCHEMA shop AUTHORIZATION shop_owner;
SET LOCAL ROLE shop_owner;
GRANT USAGE ON SCHEMA shop TO web, fanout_worker;

-- What a tenant tells others.
CREATE TABLE shop.announcement (
  id bigint GENERATED ALWAYS AS IDENTITY,
  tenant_id uuid,
  title text NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

-- From whom a tenant takes notifications. The receiver writes this, the sender cannot: it is the receiver's row.
CREATE TABLE shop.accepted_sender (
  tenant_id uuid,
  sender_id uuid NOT NULL,
  PRIMARY KEY (tenant_id, sender_id)
);

-- What a tenant has received. The key is also the note that a job is done: it commits with the row, since it is the row.
CREATE TABLE shop.notification (
  tenant_id uuid,
  sender_id uuid NOT NULL,
  announcement_id bigint NOT NULL,
  title text NOT NULL,
  read_at timestamptz,
  PRIMARY KEY (tenant_id, sender_id, announcement_id)
);

SELECT rls_tenant.protect('shop.announcement');
SELECT rls_tenant.protect('shop.accepted_sender');
SELECT rls_tenant.protect('shop.notification');

-- The authority to write here is the receiver's word, read in the receiver's context. A job has none.
CREATE POLICY accepted_senders ON shop.notification AS RESTRICTIVE FOR INSERT WITH CHECK (
  EXISTS (SELECT FROM shop.accepted_sender a WHERE a.tenant_id = notification.tenant_id AND a.sender_id = notification.sender_id));

-- Users mark a notification as read. They do not delete it: a job that is done twice would bring it back.
GRANT SELECT, INSERT ON shop.announcement TO web;
GRANT SELECT, INSERT, DELETE ON shop.accepted_sender TO web;
GRANT SELECT, UPDATE (read_at) ON shop.notification TO web;
GRANT SELECT ON shop.announcement, shop.accepted_sender TO fanout_worker;
GRANT INSERT ON shop.notification TO fanout_worker;
COMMIT;

-- The queue has no tenant column: it holds all tenants' jobs. It makes its schema itself, so its owner may for now.
SELECT rls_tenant.exempt('graphile_worker', '%', 'jobs of all tenants; only the queue''s owner and the worker may read or write them',
  '{no_tenant_column,rls_not_forced}');
SELECT format('GRANT CREATE ON DATABASE %I TO fanout_queue', current_database()) \gexec
