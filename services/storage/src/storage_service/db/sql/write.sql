-- A write: (JSON, version) of every row as it is now; none where there was nothing to change.
WITH written AS ({write} RETURNING {columns}, xmin::text AS row_version)
SELECT row_to_json(r)::text, w.row_version
FROM written AS w CROSS JOIN LATERAL (SELECT {columns_of_w}) AS r
