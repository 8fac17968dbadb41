-- Memory and processes for the keys and indexes that this session makes, from what the server has; its own settings where
-- they are larger. The sessions of a database take a quarter of what shared_buffers has at most, and 256 MB each at least:
-- other databases are copied beside it. The number of parallel workers says something about the server's cores only where
-- someone has set it.
-- sessions: how many of them work side by side.
WITH has AS (
    SELECT name, setting::bigint AS amount, source
      FROM pg_settings
     WHERE name IN ('maintenance_work_mem', 'shared_buffers', 'max_parallel_maintenance_workers', 'max_parallel_workers')
)
SELECT set_config('maintenance_work_mem', greatest(m.amount, 262144, least(2097151, b.amount * 8 / 4 / %(sessions)s)) || 'kB', false),
       set_config('max_parallel_maintenance_workers',
                  greatest(p.amount, CASE WHEN w.source <> 'default' THEN w.amount / %(sessions)s END)::text, false)
  FROM has m, has b, has p, has w
 WHERE (m.name, b.name, p.name, w.name)
     = ('maintenance_work_mem', 'shared_buffers', 'max_parallel_maintenance_workers', 'max_parallel_workers')
