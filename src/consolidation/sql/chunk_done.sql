-- Mark a chunk as loaded, in the transaction that loaded it.
UPDATE consolidation.chunk
   SET state = 'done', rows = %(rows)s, bytes = %(bytes)s, digest = %(digest)s, seconds = %(seconds)s, worker = %(worker)s,
       finished_at = clock_timestamp()
 WHERE run_id = %(run_id)s AND database = %(database)s AND table_name = %(table)s AND number = %(number)s
