-- Bytes of the tables that a dump of this database holds. A dump is compressed: it seldom needs more.
SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
