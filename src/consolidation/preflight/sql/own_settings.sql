-- Settings of this database's sessions: of the database, of all roles, of some roles, and of any other role in this
-- database. place: whose a setting is, in that order.
-- roles: text[] of the roles; left_out: text[] of roles whose settings do not count.
SELECT CASE WHEN s.setrole = 0 AND s.setdatabase <> 0 THEN 'database' WHEN s.setrole = 0 THEN 'all'
            WHEN r.rolname = ANY (%(roles)s::text[]) THEN 'role' ELSE 'other' END AS place,
       r.rolname AS role,
       split_part(entry, '=', 1) AS name,
       substr(entry, strpos(entry, '=') + 1) AS value
  FROM pg_db_role_setting s
 CROSS JOIN unnest(s.setconfig) AS entry
  LEFT JOIN pg_roles r ON r.oid = s.setrole
 WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
   AND (s.setrole = 0 OR s.setdatabase <> 0 OR r.rolname = ANY (%(roles)s::text[]))
   AND coalesce(r.rolname <> ALL (%(left_out)s::text[]), true)
 ORDER BY 3, 2 NULLS FIRST
