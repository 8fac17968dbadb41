-- Tables to fence with their trigger's state: the named tables and everything that inherits from them or is their
-- partition, because a statement trigger fires only for the table a statement names.
-- changed_by: transaction that has switched the trigger last, NULL where there is none.
-- schema: name of the schema; tables: text[] of table names, empty for all; trigger: name of the fence trigger.
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
)
SELECT n.nspname AS schema,
       c.relname AS name,
       c.oid::bigint AS oid,
       CASE t.tgenabled WHEN 'D' THEN 'prepared' WHEN 'O' THEN 'closed' WHEN 'A' THEN 'closed' WHEN 'R' THEN 'prepared'
            ELSE 'absent' END AS state,
       t.xmin::text::bigint AS changed_by
  FROM fenced
  JOIN pg_class c USING (oid)
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgname = %(trigger)s
 WHERE c.relkind IN ('r', 'p')
 ORDER BY n.nspname, c.relname
