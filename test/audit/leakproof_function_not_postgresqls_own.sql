-- One that PostgreSQL itself marks so, with privileges that were changed; one that is marked no longer.
RESET ROLE;
REVOKE EXECUTE ON FUNCTION pg_catalog.int4eq(integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.int4eq(integer, integer) TO PUBLIC;
ALTER FUNCTION texteq(text, text) NOT LEAKPROOF;
