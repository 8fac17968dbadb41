-- A page of rows that are small: (JSON, version) of one row more than {limit}. The JSON is NULL of a row that is larger
-- than its share of {byte_limit}: then page_cut says how many rows fit.
SELECT CASE WHEN {row_bytes} <= {byte_limit} / ({limit} + 1) THEN row_to_json(r)::text END, t.xmin::text
FROM {table} AS t CROSS JOIN LATERAL (SELECT {columns_of_t}) AS r
WHERE {wanted}
ORDER BY {order_of_t}
LIMIT {limit} + 1
