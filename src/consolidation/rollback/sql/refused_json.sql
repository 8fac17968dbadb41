-- A function of this session: whether json, or an array of it, is valid as another type (jsonb, jsonb[]); before version
-- 16 there is none.
CREATE FUNCTION pg_temp.consolidation_is_valid(value text, type text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SELECT %L::%s', value, type);
  RETURN true;
EXCEPTION WHEN data_exception THEN
  RETURN false;
END
$$
