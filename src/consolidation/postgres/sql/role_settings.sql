-- What sessions of a role begin with in this database, of the settings that it may change itself: by its own settings,
-- the database's, or those of all roles. Settings of extensions and applications have no row in pg_settings.
-- role: name of the role.
SELECT DISTINCT ON (e.name) e.name, e.value
  FROM pg_db_role_setting s
 CROSS JOIN unnest(s.setconfig) AS entry
 CROSS JOIN LATERAL (SELECT split_part(entry, '=', 1) AS name, substr(entry, strpos(entry, '=') + 1) AS value) AS e
  LEFT JOIN pg_settings p ON lower(p.name) = lower(e.name)
 WHERE s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = %(role)s))
   AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
   AND (p.context = 'user' OR p.name IS NULL)
 ORDER BY e.name, s.setrole <> 0 DESC, s.setdatabase <> 0 DESC
