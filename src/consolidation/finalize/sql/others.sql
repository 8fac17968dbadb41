-- Tables of the database that are not what the run has migrated: those of others, whom a rename would take them away from.
-- ours: oids of the migrated tables and their partitions; schema: the source schema; left_behind: names of tables there
-- that a migration leaves behind.
SELECT n.nspname AS schema, c.relname AS name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'consolidation')
   AND n.nspname !~ '^pg_(toast|temp)'
   AND c.oid::bigint <> ALL (%(ours)s::bigint[])
   AND NOT (n.nspname = %(schema)s AND c.relname = ANY (%(left_behind)s::text[]))
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
 ORDER BY 1, 2
