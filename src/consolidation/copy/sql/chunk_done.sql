-- Mark a chunk as loaded, in the transaction that loaded it; no row where its copy has no coordinator any more, or another one.
-- run_id, database, table, number: the chunk; rows, bytes, digest, seconds, worker: figures of the load;
-- attempt: which one of the copy phase; lead: backend that holds the database's lock; space: first key of that lock.
UPDATE consolidation.chunk
   SET state = 'done', rows = %(rows)s, bytes = %(bytes)s, digest = %(digest)s, seconds = %(seconds)s, worker = %(worker)s,
       finished_at = clock_timestamp()
 WHERE run_id = %(run_id)s AND database = %(database)s AND table_name = %(table)s AND number = %(number)s
   AND EXISTS (SELECT FROM consolidation.phase p
                WHERE p.run_id = %(run_id)s AND p.database = %(database)s AND p.name = 'copy'
                  AND p.state = 'running' AND p.attempts = %(attempt)s)
   AND EXISTS (SELECT FROM pg_locks k
                WHERE k.pid = %(lead)s AND k.locktype = 'advisory' AND k.granted AND k.objsubid = 2
                  AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                  AND k.classid = %(space)s AND k.objid::bigint = hashtext(%(database)s)::bigint & 4294967295)
