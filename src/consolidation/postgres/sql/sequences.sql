-- Sequences of one schema, with the table column that owns each (serial and identity columns), if any; without those of
-- extensions.
-- schema: name of the schema.
SELECT s.relname AS name,
       t.relname AS table_name,
       a.attname AS column_name,
       d.deptype::text AS dependency
  FROM pg_class s
  JOIN pg_namespace n ON n.oid = s.relnamespace
  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid
                       AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
  LEFT JOIN pg_class t ON t.oid = d.refobjid
  LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
 WHERE s.relkind = 'S' AND n.nspname = %(schema)s
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = s.oid AND e.deptype = 'e')
 ORDER BY s.relname
