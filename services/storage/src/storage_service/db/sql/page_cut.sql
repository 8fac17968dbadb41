-- A page: (JSON, version) of one row more than {limit}; the JSON is NULL from the first row on that does not fit
-- {byte_limit}, and never of the first. Sizes are those of the stored values: nothing is read that does not go out.
SELECT CASE WHEN p.bytes_before < {byte_limit} OR p.bytes_before = 0 THEN row_to_json(r)::text END, p.row_version
FROM (
  SELECT t.*, sum(row_bytes) OVER (ORDER BY {order_of_t} ROWS UNBOUNDED PRECEDING) - row_bytes AS bytes_before
  FROM (
    SELECT {columns_of_t}, t.xmin::text AS row_version, {row_bytes} AS row_bytes
    FROM {table} AS t
    WHERE {wanted}
    ORDER BY {order_of_t}
    LIMIT {limit} + 1
  ) AS t
) AS p CROSS JOIN LATERAL (SELECT {columns_of_p}) AS r
ORDER BY {order_of_p}
