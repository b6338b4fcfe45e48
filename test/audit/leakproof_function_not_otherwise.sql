-- One that is not.
RESET ROLE;
CREATE FUNCTION peek(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
