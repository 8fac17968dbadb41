-- What is not in force on the tables of one schema and on their partitions, wherever those are: constraints not
-- validated, invalid indexes, disabled triggers.
-- schema: name of the schema; tables: text[] of table names; fence: what the names of the fence's triggers begin with,
-- which are left out.
WITH RECURSIVE wanted AS (
    SELECT c.oid, c.relname
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s::text[])
    UNION
    SELECT c.oid, c.relname
      FROM wanted w JOIN pg_inherits i ON i.inhparent = w.oid JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
)
SELECT format('constraint %%s of %%s is not validated', con.conname, w.relname)
  FROM pg_constraint con JOIN wanted w ON w.oid = con.conrelid
 WHERE NOT con.convalidated
UNION ALL
SELECT format('index %%s of %%s is not valid', c.relname, w.relname)
  FROM pg_index i JOIN wanted w ON w.oid = i.indrelid JOIN pg_class c ON c.oid = i.indexrelid
 WHERE NOT (i.indisvalid AND i.indisready)
UNION ALL
SELECT format('trigger %%s of %%s is disabled', t.tgname, w.relname)
  FROM pg_trigger t JOIN wanted w ON w.oid = t.tgrelid
 WHERE t.tgenabled = 'D' AND NOT starts_with(t.tgname, %(fence)s)
   AND NOT starts_with(t.tgname, 'zz_consolidation_capture_')
 ORDER BY 1
