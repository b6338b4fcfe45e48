-- Names that end comments, strings and identifiers: no remedy is anything but what it says.
-- expect: leak rls_off table "x*/; DROP TABLE public.witness; --"."t'; DROP TABLE public.witness; --"
-- expect: leak rls_off table "x*/; DROP TABLE public.witness; --"."a"".b"
-- expect: leak always_true table "x*/; DROP TABLE public.witness; --"."$$\\'{t}%s%1$I"
-- expect: risk unique_oracle table "x*/; DROP TABLE public.witness; --"."$$\\'{t}%s%1$I"
-- expect: risk unique_oracle table "x*/; DROP TABLE public.witness; --"."$$\\'{t}%s%1$I"
CREATE TABLE witness (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid);
SELECT rls_tenant.protect('witness');
GRANT SELECT, INSERT, UPDATE, DELETE ON witness TO app;
CREATE SCHEMA "x*/; DROP TABLE public.witness; --";
SET search_path = "x*/; DROP TABLE public.witness; --";
CREATE TABLE "t'; DROP TABLE public.witness; --" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE TABLE "a"".b" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE TABLE "$$\\'{t}%s%1$I" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL, "\1 USING btree (" text, CONSTRAINT "\1(""%s" UNIQUE ("\1 USING btree ("));
CREATE UNIQUE INDEX "x USING btree (" ON "$$\\'{t}%s%1$I" USING btree ("\1 USING btree (" DESC);
CREATE INDEX ON "$$\\'{t}%s%1$I" (tenant_id);
ALTER TABLE "$$\\'{t}%s%1$I" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY "p""; DROP TABLE public.witness; --" ON "$$\\'{t}%s%1$I" USING (true);
