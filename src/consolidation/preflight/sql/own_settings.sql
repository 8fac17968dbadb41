-- Settings of this database and of some roles' sessions in it.
-- roles: text[] of the roles.
SELECT CASE WHEN s.setrole <> 0 THEN pg_get_userbyid(s.setrole) END AS role,
       split_part(entry, '=', 1) AS name,
       substr(entry, strpos(entry, '=') + 1) AS value
  FROM pg_db_role_setting s
 CROSS JOIN unnest(s.setconfig) AS entry
 WHERE (s.setrole = 0 AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
    OR (s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        AND s.setrole <> 0 AND pg_get_userbyid(s.setrole) = ANY (%(roles)s::text[]))
 ORDER BY 2, 1 NULLS FIRST
