-- What a bulk load of one schema's tables is faster or only possible without: foreign keys, keys, indexes, user triggers.
-- Each row: how to drop it, how to make it again, and in which order. Left in place: what a foreign key of another
-- schema needs, keys that a view or a function depends on (GROUP BY the primary key), replica identities, clustered,
-- inherited, invalid and tablespaced ones and keys with storage parameters, which a plain definition would lose, and
-- everything but foreign keys and triggers of partitioned tables.
-- schema: name of the schema; tables: text[] of table names.
WITH wanted AS (
    SELECT c.oid, c.relname, c.relkind, c.oid::regclass::text AS qualified
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s::text[])
), plain_index AS (
    SELECT i.*, w.relname, w.qualified, c.reloptions
      FROM pg_index i
      JOIN wanted w ON w.oid = i.indrelid
      JOIN pg_class c ON c.oid = i.indexrelid
     WHERE w.relkind = 'r' AND i.indisvalid AND NOT i.indisreplident AND NOT i.indisclustered AND c.reltablespace = 0
       AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)
       AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = i.indexrelid AND a.attstattarget > 0)
       AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indexrelid
                          AND d.deptype = 'n' AND d.classid <> 'pg_constraint'::regclass)
       AND NOT EXISTS (SELECT FROM pg_constraint k
                         JOIN pg_depend d ON d.refclassid = 'pg_constraint'::regclass AND d.refobjid = k.oid
                        WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid
                          AND d.deptype = 'n' AND d.classid <> 'pg_constraint'::regclass)
       AND NOT EXISTS (SELECT FROM pg_constraint f
                        WHERE f.contype = 'f' AND f.conindid = i.indexrelid AND f.conrelid NOT IN (SELECT oid FROM wanted))
)
SELECT w.relname AS table_name, 'foreign key' AS kind, con.conname AS name,
       format('ALTER TABLE %%s DROP CONSTRAINT %%I', w.qualified, con.conname) AS drop_statement,
       format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', w.qualified, con.conname, pg_get_constraintdef(con.oid))
         || coalesce(format('; COMMENT ON CONSTRAINT %%I ON %%s IS %%L', con.conname, w.qualified,
                            obj_description(con.oid, 'pg_constraint')), '') AS create_statement
  FROM pg_constraint con JOIN wanted w ON w.oid = con.conrelid
 WHERE con.contype = 'f' AND con.conparentid = 0
UNION ALL
SELECT i.relname, 'constraint', con.conname,
       format('ALTER TABLE %%s DROP CONSTRAINT %%I', i.qualified, con.conname),
       format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', i.qualified, con.conname, pg_get_constraintdef(con.oid))
         || coalesce(format('; COMMENT ON CONSTRAINT %%I ON %%s IS %%L', con.conname, i.qualified,
                            obj_description(con.oid, 'pg_constraint')), '')
  FROM plain_index i JOIN pg_constraint con ON con.conindid = i.indexrelid AND con.conrelid = i.indrelid
 WHERE con.contype IN ('p', 'u', 'x') AND i.reloptions IS NULL
UNION ALL
SELECT i.relname, 'index', c.relname,
       format('DROP INDEX %%s', i.indexrelid::regclass),
       pg_get_indexdef(i.indexrelid)
         || coalesce(format('; COMMENT ON INDEX %%s IS %%L', i.indexrelid::regclass,
                            obj_description(i.indexrelid, 'pg_class')), '')
  FROM plain_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE NOT EXISTS (SELECT FROM pg_constraint con WHERE con.conindid = i.indexrelid AND con.conrelid = i.indrelid)
UNION ALL
SELECT w.relname, 'trigger', t.tgname,
       format('ALTER TABLE %%s DISABLE TRIGGER %%I', w.qualified, t.tgname),
       format('ALTER TABLE %%s ENABLE %%s TRIGGER %%I', w.qualified,
              CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE '' END, t.tgname)
  FROM pg_trigger t JOIN wanted w ON w.oid = t.tgrelid
 WHERE NOT t.tgisinternal AND NOT starts_with(t.tgname, %(fence)s)
   AND NOT starts_with(t.tgname, 'zz_consolidation_capture_') AND t.tgenabled IN ('O', 'A') AND t.tgparentid = 0
 ORDER BY 1, 2, 3
