-- The sequence that a column's default takes values from.
-- schema, table, name: of the column.
SELECT s.relname
  FROM pg_attrdef d
  JOIN pg_class t ON t.oid = d.adrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
  JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.adnum
  JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass
  JOIN pg_class s ON s.oid = p.refobjid AND s.relkind = 'S'
 WHERE n.nspname = %(schema)s AND t.relname = %(table)s AND a.attname = %(name)s
