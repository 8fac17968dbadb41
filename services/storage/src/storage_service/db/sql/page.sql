-- A page: (JSON, version, number of rows found) of one row more than {limit}, if they fit {byte_limit}; at least one.
-- The sizes are those of the stored values, so nothing is read or decompressed that does not go out.
SELECT row_to_json(r)::text, p.row_version, p.rows_found
FROM (
  SELECT t.*, count(*) OVER () AS rows_found, sum(row_bytes) OVER before - row_bytes AS bytes_before
  FROM (
    SELECT {columns_of_t}, t.xmin::text AS row_version, {row_bytes} AS row_bytes
    FROM {table} AS t
    WHERE {wanted}
    ORDER BY {order_of_t}
    LIMIT {limit} + 1
  ) AS t
  WINDOW before AS (ORDER BY {order_of_t} ROWS UNBOUNDED PRECEDING)
) AS p CROSS JOIN LATERAL (SELECT {columns_of_p}) AS r
WHERE p.bytes_before < {byte_limit}
ORDER BY {order_of_p}
