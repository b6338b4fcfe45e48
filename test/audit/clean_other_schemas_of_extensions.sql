-- What belongs to an extension of a superuser is none of the user's.
RESET ROLE;
CREATE EXTENSION hstore;
CREATE EXTENSION pg_stat_statements;
