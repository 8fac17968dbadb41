-- Timeouts that would cut a session of one role in this database; those that the runbook's sessions set themselves are
-- left out. What the role's own settings say wins over the server's.
-- role: name of the role.
SELECT s.name, coalesce(own.value, s.setting || coalesce(s.unit, ''))
  FROM pg_settings s
  LEFT JOIN LATERAL (
       SELECT substr(entry, strpos(entry, '=') + 1) AS value
         FROM pg_db_role_setting r
        CROSS JOIN unnest(r.setconfig) AS entry
        WHERE r.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = %(role)s))
          AND r.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
          AND split_part(entry, '=', 1) = s.name
        ORDER BY r.setrole <> 0 AND r.setdatabase <> 0 DESC, r.setrole <> 0 DESC, r.setdatabase <> 0 DESC
        LIMIT 1) own ON true
 WHERE s.name IN ('idle_session_timeout', 'transaction_timeout')
   AND CASE WHEN own.value IS NOT NULL THEN own.value !~ '^0'
            ELSE s.setting <> '0' AND s.source NOT IN ('user', 'database user') END
