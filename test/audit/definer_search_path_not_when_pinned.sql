-- pg_temp last; a body that is parsed; as the invoker.
CREATE FUNCTION pinned() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS 'SELECT 1';
CREATE FUNCTION parsed() RETURNS int LANGUAGE sql SECURITY DEFINER RETURN 1;
CREATE FUNCTION invoked() RETURNS int LANGUAGE sql AS 'SELECT 1';
