-- Tables, by qualified name, that this transaction has written rows to, other than some tables, their partitions,
-- catalogs, temporary tables and the logs of a capture that is still on: it notes what is brought to its side.
-- oids: bigint[] of the tables that were meant.
WITH RECURSIVE meant (oid) AS (
    SELECT c.oid FROM pg_class c WHERE c.oid::bigint = ANY (%(oids)s)
    UNION
    SELECT i.inhrelid FROM meant JOIN pg_inherits i ON i.inhparent = meant.oid
      JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
)
SELECT s.schemaname || '.' || s.relname
  FROM pg_stat_xact_user_tables s
  JOIN pg_class c ON c.oid = s.relid
 WHERE s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0
   AND c.relpersistence <> 't' AND s.relid NOT IN (SELECT oid FROM meant)
   AND (s.schemaname, s.relname ^@ 'changed_') <> ('consolidation', true)
 ORDER BY 1
