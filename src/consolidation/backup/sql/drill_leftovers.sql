-- Scratch databases of restore drills that a dead process left behind, and that we may drop.
-- pattern: LIKE pattern of their names; own: name that this run uses, ours whoever is connected to it.
SELECT d.datname AS name
  FROM pg_database d
 WHERE d.datdba = (SELECT oid FROM pg_roles WHERE rolname = current_user)
   AND (d.datname = %(own)s
        OR (d.datname LIKE %(pattern)s
            AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)))
