-- Collations of one schema's columns whose recorded version is not the library's (13 and 14).
-- schema: name of the schema.
SELECT DISTINCT 'COLLATION' AS sort, l.collname::text AS name, l.collversion AS recorded,
       pg_collation_actual_version(l.oid) AS actual
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = %(schema)s
  JOIN pg_attribute a ON a.attrelid = c.oid
  JOIN pg_collation l ON l.oid = a.attcollation
 WHERE c.relkind IN ('r', 'p') AND l.collprovider <> 'd' AND l.collversion IS NOT NULL
   AND l.collversion IS DISTINCT FROM pg_collation_actual_version(l.oid)
