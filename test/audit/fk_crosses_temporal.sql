-- A foreign key over periods by the number alone.
-- from: 18
-- expect: leak fk_crosses table public.stays
-- expect: risk unique_oracle table public.rooms
RESET ROLE;
CREATE EXTENSION btree_gist;
SET ROLE owner;
CREATE TABLE rooms (id bigint, tenant_id uuid, open tstzrange, UNIQUE (id, open WITHOUT OVERLAPS), UNIQUE (tenant_id, id, open));
SELECT rls_tenant.protect('rooms');
GRANT SELECT, INSERT, UPDATE, DELETE ON rooms TO app;
CREATE TABLE stays (id bigint, tenant_id uuid, room bigint, nights tstzrange, FOREIGN KEY (room, PERIOD nights) REFERENCES rooms (id, PERIOD open));
SELECT rls_tenant.protect('stays');
GRANT SELECT, INSERT, UPDATE, DELETE ON stays TO app;
