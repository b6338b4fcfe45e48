-- A function of a user's marked LEAKPROOF.
-- expect: risk leakproof_function function public.peek(text)
RESET ROLE;
CREATE FUNCTION peek(text) RETURNS boolean LANGUAGE plpgsql LEAKPROOF AS 'BEGIN RETURN true; END';
