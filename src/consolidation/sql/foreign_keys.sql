-- Foreign keys that start at tables of one schema.
-- schema: name of the schema.
SELECT con.conname AS name,
       c.relname AS table_name,
       fn.nspname AS references_schema,
       f.relname AS references_table,
       con.condeferrable AS deferrable,
       con.convalidated AS validated,
       (SELECT array_agg(a.attname::text ORDER BY k.ord)
          FROM unnest(con.conkey) WITH ORDINALITY AS k (attnum, ord)
          JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum) AS columns,
       (SELECT array_agg(a.attname::text ORDER BY k.ord)
          FROM unnest(con.confkey) WITH ORDINALITY AS k (attnum, ord)
          JOIN pg_attribute a ON a.attrelid = con.confrelid AND a.attnum = k.attnum) AS references_columns
  FROM pg_constraint con
  JOIN pg_class c ON c.oid = con.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class f ON f.oid = con.confrelid
  JOIN pg_namespace fn ON fn.oid = f.relnamespace
 WHERE con.contype = 'f' AND n.nspname = %(schema)s AND con.conparentid = 0
 ORDER BY c.relname, con.conname
