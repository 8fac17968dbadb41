-- The run that this ansible-playbook process has begun for other databases and for this one not yet.
-- control: the process; database: the one that would join.
SELECT r.id
  FROM consolidation.run r
 WHERE r.control = %(control)s::jsonb
   AND NOT EXISTS (SELECT FROM consolidation.run_database d
                    WHERE d.run_id = r.id AND (d.database = %(database)s OR d.state <> 'migrating'))
 ORDER BY r.number DESC
 LIMIT 1
