-- The servers that every commit waits for, and how many of them follow; no row where commits wait for no one.
SELECT current_setting('synchronous_standby_names') AS names,
       count(*) FILTER (WHERE sync_state IN ('sync', 'quorum', 'potential')) AS following,
       coalesce(bool_and(sync_state IS NOT NULL), true) AS visible
  FROM pg_stat_replication
HAVING current_setting('synchronous_standby_names') <> ''
