-- What decides, besides privileges and the fence, whether a role's writes reach a table.
-- role: name of the role; table: oid. read_only: what its sessions in this database begin with. unprotected: no policy
-- lets it insert a row, though row security applies to it. ruled: commands that a DO INSTEAD rule takes elsewhere.
-- column: one that a statement may name, NULL where all are generated.
SELECT coalesce(
         (SELECT substr(entry, strpos(entry, '=') + 1)::boolean
            FROM pg_db_role_setting r
           CROSS JOIN unnest(r.setconfig) AS entry
           WHERE r.setrole IN (0, t.role) AND r.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
             AND split_part(entry, '=', 1) = 'default_transaction_read_only'
           ORDER BY r.setrole <> 0 AND r.setdatabase <> 0 DESC, r.setrole <> 0 DESC
           LIMIT 1),
         (SELECT reset_val::boolean FROM pg_settings WHERE name = 'default_transaction_read_only')) AS read_only,
       c.relrowsecurity AND NOT t.bypasses
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
         ORDER BY a.attnum LIMIT 1) AS column
  FROM pg_class c
 CROSS JOIN (SELECT oid AS role, rolsuper OR rolbypassrls AS bypasses FROM pg_roles WHERE rolname = %(role)s) AS t
 WHERE c.oid = %(table)s::oid
