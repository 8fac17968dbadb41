-- The search_path of a role's sessions in this database, as its settings or the database's have it; NULL: the server's.
-- role: name of the role.
SELECT substr(entry, strpos(entry, '=') + 1)
  FROM pg_db_role_setting s
 CROSS JOIN unnest(s.setconfig) AS entry
 WHERE s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = %(role)s))
   AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
   AND split_part(entry, '=', 1) = 'search_path'
 ORDER BY s.setrole <> 0 AND s.setdatabase <> 0 DESC, s.setrole <> 0 DESC
 LIMIT 1
