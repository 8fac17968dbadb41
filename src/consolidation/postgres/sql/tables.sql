-- Ordinary and partitioned tables of one schema with size and estimate. Partitions themselves are left to their root, and
-- an extension's tables to it unless they are named. persistence: 'u' also of a root with an unlogged partition.
-- schema: name of the schema; tables: text[] of table names, empty for all.
SELECT c.relname AS name,
       c.oid::bigint AS oid,
       c.relkind::text AS kind,
       CASE WHEN EXISTS (WITH RECURSIVE part (oid) AS (
                             SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = c.oid AND c.relkind = 'p'
                             UNION ALL
                             SELECT i.inhrelid FROM part JOIN pg_inherits i ON i.inhparent = part.oid)
                         SELECT FROM part JOIN pg_class k USING (oid) WHERE k.relpersistence = 'u')
            THEN 'u' ELSE c.relpersistence::text END AS persistence,
       pg_get_userbyid(c.relowner) AS owner,
       greatest(c.reltuples, 0)::bigint AS estimated_rows,
       pg_table_size(c.oid) AS table_bytes,
       coalesce((SELECT array_agg(a.attname::text ORDER BY k.ord)
                   FROM pg_index i
                  CROSS JOIN unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, ord)
                   JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                  WHERE i.indrelid = c.oid AND i.indisprimary), '{}') AS primary_key
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s
   AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND CASE WHEN cardinality(%(tables)s::text[]) > 0 THEN c.relname = ANY (%(tables)s::text[])
            ELSE NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                                AND e.deptype = 'e') END
 ORDER BY c.relname
