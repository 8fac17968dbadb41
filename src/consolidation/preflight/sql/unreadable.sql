-- How many tables and sequences of each schema one role may not read; what belongs to extensions is left out.
-- role: name of the role.
SELECT n.nspname, count(*)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm', 'S')
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
   AND NOT (has_schema_privilege(%(role)s, n.oid, 'USAGE')
            AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(%(role)s, c.oid, 'SELECT')
                               ELSE has_table_privilege(%(role)s, c.oid, 'SELECT') END)
 GROUP BY n.nspname
 ORDER BY n.nspname
