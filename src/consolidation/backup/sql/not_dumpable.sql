-- Objects of the current database that pg_dump would fail on as the current role, by name with the reason.
-- No parameters.
SELECT format('%I.%I', n.nspname, c.relname) AS name,
       CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN 'no USAGE on its schema'
            WHEN c.relkind <> 'S' AND row_security_active(c.oid) THEN 'row-level security hides rows'
            ELSE 'no SELECT' END AS reason
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'S')
   AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
   AND (NOT has_schema_privilege(n.oid, 'USAGE')
        OR CASE c.relkind WHEN 'S' THEN NOT has_sequence_privilege(c.oid, 'SELECT')
                          ELSE NOT has_table_privilege(c.oid, 'SELECT') OR row_security_active(c.oid) END)
 ORDER BY 1
