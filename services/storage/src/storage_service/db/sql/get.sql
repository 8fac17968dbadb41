-- One row: its JSON as PostgreSQL prints it, and its version (xmin: the transaction that wrote it).
SELECT row_to_json(r)::text, t.xmin::text
FROM {table} AS t CROSS JOIN LATERAL (SELECT {columns_of_t}) AS r
WHERE {wanted}
