-- Remove some of the idempotency keys that are older than $1, the oldest first; at most $2, so that no statement takes
-- long. One row, as long as there were any.
WITH removed AS (
  DELETE FROM storage_service.idempotency_keys AS k
  USING (
    SELECT service, key FROM storage_service.idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2
  ) AS old
  WHERE k.service = old.service AND k.key = old.key
  RETURNING 1
)
SELECT count(*) FROM removed HAVING count(*) > 0
