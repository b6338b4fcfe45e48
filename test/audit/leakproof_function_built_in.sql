-- Functions of PostgreSQL and of an extension that somebody has marked so.
-- expect: risk leakproof_function function textregexeq(text,text)
-- expect: risk leakproof_function function public.citext_eq(public.citext,public.citext)
RESET ROLE;
CREATE EXTENSION citext SCHEMA public;
ALTER FUNCTION textregexeq(text, text) LEAKPROOF;
ALTER FUNCTION citext_eq(citext, citext) LEAKPROOF;
