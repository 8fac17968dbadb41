-- As write, and the request is kept with it, if it wrote: a known key violates the primary key, and nothing is written.
WITH written AS ({write} RETURNING {columns}, xmin::text AS row_version),
remembered AS (
  INSERT INTO storage_service.idempotency_keys (service, key, request_sha256, result)
  SELECT {service}, {key}, {request_sha256}, min(row_version) FROM written HAVING count(*) > 0
)
SELECT row_to_json(r)::text, w.row_version
FROM written AS w CROSS JOIN LATERAL (SELECT {columns_of_w}) AS r
