-- What decides, besides privileges and the fence, whether a role's writes reach a table.
-- role: name of the role; table: oid. unprotected: no policy lets it insert a row, though row security applies to it.
-- ruled: commands that a DO INSTEAD rule takes elsewhere. column: one that a statement may name, NULL where all are
-- generated. shut_out: it logs in, and not to this database.
-- lacking: what new rows use and it may not: sequences of defaults; functions of defaults, checks and indexes. No statement
-- without a row asks for these.
SELECT c.relrowsecurity AND NOT t.bypasses
         AND (c.relforcerowsecurity OR NOT pg_has_role(t.role, c.relowner, 'USAGE'))
         AND NOT EXISTS (SELECT FROM pg_policy p
                          WHERE p.polrelid = c.oid AND p.polcmd IN ('*', 'a') AND p.polpermissive
                            AND (0 = ANY (p.polroles)
                                 OR EXISTS (SELECT FROM unnest(p.polroles) AS member
                                             WHERE member <> 0 AND pg_has_role(t.role, member, 'USAGE')))) AS unprotected,
       ARRAY(SELECT CASE w.ev_type WHEN '2' THEN 'UPDATE' WHEN '3' THEN 'INSERT' ELSE 'DELETE' END
               FROM pg_rewrite w
              WHERE w.ev_class = c.oid AND w.is_instead AND w.ev_enabled <> 'D' AND w.ev_type IN ('2', '3', '4')) AS ruled,
       (SELECT a.attname::text FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a'
         ORDER BY a.attnum LIMIT 1) AS column,
       t.logs_in AND NOT has_database_privilege(t.role, current_database(), 'CONNECT') AS shut_out,
       ARRAY(SELECT DISTINCT i.type || ' ' || i.identity
               FROM (SELECT 'pg_attrdef'::regclass AS classid, d.oid AS objid FROM pg_attrdef d WHERE d.adrelid = c.oid
                     UNION ALL
                     SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c'
                     UNION ALL
                     SELECT 'pg_class'::regclass, x.indexrelid FROM pg_index x WHERE x.indrelid = c.oid) AS part
               JOIN pg_depend d USING (classid, objid)
              CROSS JOIN LATERAL pg_identify_object(d.refclassid, d.refobjid, 0) AS i
              WHERE CASE WHEN d.refclassid = 'pg_proc'::regclass THEN NOT has_function_privilege(t.role, d.refobjid, 'EXECUTE')
                         WHEN i.type = 'sequence' THEN NOT has_sequence_privilege(t.role, d.refobjid, 'USAGE')
                         ELSE false END
              ORDER BY 1) AS lacking
  FROM pg_class c
 CROSS JOIN (SELECT oid AS role, rolsuper OR rolbypassrls AS bypasses, rolcanlogin AS logs_in
               FROM pg_roles WHERE rolname = %(role)s) AS t
 WHERE c.oid = %(table)s::oid
