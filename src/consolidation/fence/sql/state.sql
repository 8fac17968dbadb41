-- Tables to fence with their triggers and their fence epoch: the named tables and everything that inherits from them or is
-- their partition, because a statement trigger fires only for the table a statement names.
-- statements, rows: pg_trigger.tgenabled of either trigger, NULL where there is none; a partitioned table has no rows.
-- epoch: another one after anything that could change what the table holds without the fence's noticing: a trigger that
-- was switched or recreated (xmin: the transaction that did it), its function, the relation's file, name, columns and
-- generation expressions, its place among parents and partitions, and what its columns' types are made of: labels of
-- enums, attributes of composite types and of tables whose rows are a column's values. Not other types of the database:
-- those are other services'.
-- form: the same without the triggers, which the end of a load switches.
-- schema: name of the schema; tables: text[] of table names, empty for all; trigger, row_trigger: their names.
WITH RECURSIVE fenced (oid) AS (
    SELECT c.oid
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p')
       AND CASE WHEN cardinality(%(tables)s::text[]) = 0
                THEN c.relname <> ALL (%(left_behind)s::text[])
                     AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                                        AND e.deptype = 'e')
                ELSE c.relname = ANY (%(tables)s::text[]) END
    UNION
    SELECT i.inhrelid FROM pg_inherits i JOIN fenced ON fenced.oid = i.inhparent
), used (class, oid) AS (
    -- Types of columns, through arrays, domains, ranges and the relations that composite types are.
    SELECT 'pg_class'::regclass, oid FROM fenced
    UNION
    SELECT further.class, further.oid
      FROM used u
     CROSS JOIN LATERAL (
           SELECT d.refclassid::regclass AS class, d.refobjid AS oid
             FROM pg_depend d
            WHERE d.classid = u.class AND d.objid = u.oid AND d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass)
           UNION ALL
           SELECT 'pg_class'::regclass, t.typrelid
             FROM pg_type t
            WHERE u.class = 'pg_type'::regclass AND t.oid = u.oid AND t.typrelid <> 0) AS further
), common AS (
    SELECT concat_ws('|',
             (SELECT string_agg(concat_ws(' ', p.oid, p.xmin), ',' ORDER BY p.oid)
                FROM pg_proc p WHERE p.pronamespace = to_regnamespace('consolidation') AND p.proname = 'fence'),
             (SELECT md5(string_agg(concat_ws(' ', enumtypid, enumsortorder, enumlabel), ',' ORDER BY oid))
                FROM pg_enum WHERE enumtypid IN (SELECT oid FROM used WHERE class = 'pg_type'::regclass)),
             (SELECT md5(string_agg(concat_ws(' ', a.attrelid, a.attnum, a.atttypid, a.atttypmod, a.attisdropped),
                                    ',' ORDER BY a.attrelid, a.attnum))
                FROM pg_attribute a
               WHERE a.attnum > 0 AND a.attrelid IN (SELECT oid FROM used WHERE class = 'pg_class'::regclass))) AS made
)
SELECT n.nspname AS schema,
       c.relname AS name,
       c.oid::bigint AS oid,
       c.relkind::text AS kind,
       s.tgenabled::text AS statements,
       r.tgenabled::text AS rows,
       md5(concat_ws('|', common.made, n.nspname, c.relname, c.relkind, pg_relation_filenode(c.oid),
             s.oid, s.xmin, s.tgenabled, r.oid, r.xmin, r.tgenabled, shape.columns, shape.place)) AS epoch,
       md5(concat_ws('|', common.made, n.nspname, c.relname, c.relkind, pg_relation_filenode(c.oid), c.oid,
             shape.columns, shape.place)) AS form
  FROM fenced
 CROSS JOIN common
  JOIN pg_class c USING (oid)
  JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (
       SELECT (SELECT string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attisdropped,
                                           a.attgenerated,
                                           CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END),
                                 ',' ORDER BY a.attnum)
                 FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns,
              (SELECT string_agg(to_jsonb(i)::text, ',' ORDER BY i.inhrelid, i.inhparent)
                 FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)) AS place) AS shape
  LEFT JOIN pg_trigger s ON s.tgrelid = c.oid AND s.tgname = %(trigger)s
  LEFT JOIN pg_trigger r ON r.tgrelid = c.oid AND r.tgname = %(row_trigger)s
 WHERE c.relkind IN ('r', 'p')
 ORDER BY n.nspname, c.relname
