-- Foreign keys of some tables.
-- oids: bigint[] of the tables.
SELECT con.conrelid::bigint AS table_oid,
       con.conname AS name,
       pg_get_constraintdef(con.oid) AS definition,
       con.confupdtype::text AS on_update,
       con.confdeltype::text AS on_delete,
       con.condeferrable AS deferrable,
       f.relname AS referenced_table,
       (SELECT array_agg(a.attname::text ORDER BY k.ord)
          FROM unnest(con.conkey) WITH ORDINALITY AS k (attnum, ord)
          JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum) AS columns,
       (SELECT array_agg(a.attname::text ORDER BY k.ord)
          FROM unnest(con.confkey) WITH ORDINALITY AS k (attnum, ord)
          JOIN pg_attribute a ON a.attrelid = con.confrelid AND a.attnum = k.attnum) AS referenced_columns
  FROM pg_constraint con
  LEFT JOIN pg_class f ON f.oid = con.confrelid
 WHERE con.conrelid::bigint = ANY (%(oids)s::bigint[]) AND con.contype = 'f' AND con.conparentid = 0
 ORDER BY con.conrelid, con.conname
