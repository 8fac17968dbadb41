-- What sessions of some roles begin with in this database: their own settings win over the database's and the server's.
-- The server's is what ours would be reset to, unless our own role or this database says otherwise: then it is unknown,
-- and taken for PostgreSQL's.
-- roles: text[] of names; settings: text[] of names.
SELECT r.rolname::text, s.name,
       coalesce((SELECT substr(entry, strpos(entry, '=') + 1)
                   FROM pg_db_role_setting o
                  CROSS JOIN unnest(o.setconfig) AS entry
                  WHERE o.setrole IN (0, r.oid)
                    AND o.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                    AND split_part(entry, '=', 1) = s.name
                  ORDER BY o.setrole <> 0 AND o.setdatabase <> 0 DESC, o.setrole <> 0 DESC, o.setdatabase <> 0 DESC
                  LIMIT 1),
                CASE WHEN EXISTS (SELECT FROM pg_db_role_setting o CROSS JOIN unnest(o.setconfig) AS entry
                                   WHERE o.setrole = (SELECT oid FROM pg_roles WHERE rolname = session_user)
                                     AND o.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                                     AND split_part(entry, '=', 1) = s.name) THEN s.boot_val ELSE s.reset_val END) AS value
  FROM pg_roles r
 CROSS JOIN pg_settings s
 WHERE r.rolname = ANY (%(roles)s::text[]) AND s.name = ANY (%(settings)s::text[])
 ORDER BY 1, 2
