-- The caller's search_path, one without pg_temp at its end, an empty one, and pg_temp at its beginning.
-- expect: risk definer_search_path function public.callers()
-- expect: risk definer_search_path function public.first(integer)
-- expect: risk definer_search_path function public.empty()
-- expect: risk definer_search_path function public.temp_first()
CREATE FUNCTION callers() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
CREATE FUNCTION first(int) RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = public AS 'SELECT 1';
CREATE FUNCTION empty() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1';
CREATE FUNCTION temp_first() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_temp, public AS 'SELECT 1';
