-- Rows first to last of attachments: 1 to 4 are prose, 5 to 8 are bytes, of 1/30, 1/10, 1/3 and 1/1 of `largest`.
-- Parameters (psql variables): seed, first, last, largest (bytes). A block of 1 MB repeats farther apart than any
-- compression of PostgreSQL looks back.
\ir ../../demo/sql/helpers.sql

WITH rows AS (SELECT i, :largest / ('{30,10,3,1}'::integer[])[1 + (i - 1) % 4] AS size
              FROM generate_series(:first::bigint, :last) AS i),
prose AS MATERIALIZED (SELECT convert_from(string_agg(pg_temp.prose(:seed + n), '' ORDER BY n), 'UTF8') AS block
                       FROM generate_series(1, 64) AS n),
digits AS MATERIALIZED (SELECT string_agg(md5(:seed || 'block' || n), '' ORDER BY n) AS block
                        FROM generate_series(1, 65536) AS n)
INSERT INTO attachments
SELECT i, 'attachment ' || i,
    CASE WHEN i <= 4 THEN left(repeat(prose.block, (1 + size / length(prose.block))::integer), size::integer) END,
    CASE WHEN i > 4 THEN substr(decode(repeat(digits.block, (1 + size / 1048576)::integer), 'hex'), 1, size::integer) END
FROM rows, prose, digits;
