-- Rows first to last of readings. Parameters (psql variables): seed, first, last.

INSERT INTO readings
SELECT i, md5(:seed || 'sensor' || i % 5000)::uuid, CASE WHEN i % 50 > 0 THEN sin(i) * 1000 END,
    (i * 7919 % 100000000) / 100.0, '2021-01-01 00:00:00+00'::timestamptz + i * interval '1.234567 seconds'
FROM generate_series(:first::bigint, :last) AS i;
