-- Tables to lock before definitions are set aside (reconcile_aside.sql): those that have an enabled user trigger or
-- rule or a foreign key, and both ends of the foreign keys, with their partitions.
-- oids: bigint[] of the tables whose rows are changed; fence: name of the fence's trigger, which stays.
WITH RECURSIVE wanted (oid) AS (
    SELECT c.oid FROM pg_class c WHERE c.oid::bigint = ANY (%(oids)s)
    UNION
    SELECT i.inhrelid FROM wanted JOIN pg_inherits i ON i.inhparent = wanted.oid
      JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
), held (oid) AS (
    SELECT place.oid
      FROM pg_constraint con CROSS JOIN unnest(ARRAY[con.conrelid, con.confrelid]) AS place (oid)
     WHERE con.contype = 'f' AND (con.conrelid IN (SELECT oid FROM wanted) OR con.confrelid IN (SELECT oid FROM wanted))
    UNION
    SELECT t.tgrelid FROM pg_trigger t
     WHERE t.tgrelid IN (SELECT oid FROM wanted) AND NOT t.tgisinternal AND NOT starts_with(t.tgname, %(fence)s)
       AND NOT starts_with(t.tgname, 'zz_consolidation_capture_')
       AND t.tgenabled IN ('O', 'A')
    UNION
    SELECT r.ev_class FROM pg_rewrite r WHERE r.ev_class IN (SELECT oid FROM wanted) AND r.ev_enabled IN ('O', 'A')
    UNION
    SELECT i.inhrelid FROM held JOIN pg_inherits i ON i.inhparent = held.oid
      JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
)
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name
  FROM held JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
 ORDER BY n.nspname, c.relname
