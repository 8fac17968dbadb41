-- Columns of some tables whose default draws from a sequence of another schema, with that sequence.
-- schema: name of the tables' schema; oids: bigint[] of the tables.
SELECT t.relname, a.attname, format('%%I.%%I', n.nspname, s.relname)
  FROM pg_attrdef d
  JOIN pg_class t ON t.oid = d.adrelid
  JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
  JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass
  JOIN pg_class s ON s.oid = p.refobjid AND s.relkind = 'S'
  JOIN pg_namespace n ON n.oid = s.relnamespace
 WHERE d.adrelid::bigint = ANY (%(oids)s::bigint[]) AND n.nspname <> %(schema)s
 ORDER BY 1, 2
