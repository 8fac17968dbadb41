-- Indexes of some tables without primary keys and exclusion constraints.
-- oids: bigint[] of the tables.
SELECT i.indrelid::bigint AS table_oid,
       c.relname AS name,
       i.indisunique AS is_unique,
       pg_get_indexdef(i.indexrelid) AS definition,
       -- NULL where it has expressions or a condition
       CASE WHEN i.indpred IS NULL AND i.indexprs IS NULL THEN
            (SELECT array_agg(a.attname::text ORDER BY k.ord)
               FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, ord)
               JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
              WHERE k.ord <= i.indnkeyatts) END AS columns
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
 WHERE i.indrelid::bigint = ANY (%(oids)s::bigint[]) AND NOT i.indisprimary AND NOT i.indisexclusion
 ORDER BY c.relname
