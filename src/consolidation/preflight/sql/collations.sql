-- Collations whose recorded version is not the library's, of the database and of one schema's columns (15 and newer).
-- schema: name of the schema.
SELECT 'DATABASE' AS sort, datname::text AS name, datcollversion AS recorded,
       pg_database_collation_actual_version(oid) AS actual
  FROM pg_database
 WHERE datname = current_database() AND datcollversion IS NOT NULL
   AND datcollversion IS DISTINCT FROM pg_database_collation_actual_version(oid)
UNION
SELECT 'COLLATION', l.collname::text, l.collversion, pg_collation_actual_version(l.oid)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = %(schema)s
  JOIN pg_attribute a ON a.attrelid = c.oid
  JOIN pg_collation l ON l.oid = a.attcollation
 WHERE c.relkind IN ('r', 'p') AND l.collprovider <> 'd' AND l.collversion IS NOT NULL
   AND l.collversion IS DISTINCT FROM pg_collation_actual_version(l.oid)
