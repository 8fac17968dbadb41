-- Say that the chunks of a copy may be taken; what is said ends with the attempt. Run it in the session that holds the lock.
-- run_id, database: the run; snapshot: exported on the source; packages: fingerprint of the coordinator's.
UPDATE consolidation.phase
   SET result = coalesce(result, '{}') || jsonb_build_object('queue', jsonb_build_object(
         'snapshot', %(snapshot)s::text, 'packages', %(packages)s::text, 'lead', pg_backend_pid()))
 WHERE run_id = %(run_id)s AND database = %(database)s AND name = 'copy'
RETURNING attempts AS attempt, pg_backend_pid() AS lead
