-- Partitions of one schema whose root is in another one, with that root.
-- schema: name of the schema.
SELECT c.relname, root.oid::regclass::text
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class root ON root.oid = pg_partition_root(c.oid)
 WHERE n.nspname = %(schema)s AND c.relispartition AND c.relkind IN ('r', 'p') AND root.relnamespace <> c.relnamespace
 ORDER BY 1
