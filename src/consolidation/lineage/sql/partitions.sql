-- Partitions of some schemas.
-- schemas: text[] of the schemas' names.
SELECT n.nspname, c.relname
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relispartition AND c.relkind IN ('r', 'p') AND n.nspname = ANY (%(schemas)s::text[])
