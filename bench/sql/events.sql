-- Rows first to last of events. Parameters (psql variables): seed, first, last.

INSERT INTO events
SELECT i, md5(:seed || 'event' || i % 5000)::uuid, i % 7, (i * 7919 % 100000000) / 100.0,
    '2021-01-01 00:00:00+00'::timestamptz + i * interval '17.234567 seconds'
FROM generate_series(:first::bigint, :last) AS i;
