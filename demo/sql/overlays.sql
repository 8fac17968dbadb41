-- Rows first to last of overlays. Parameters (psql variables): seed, first, last, parents = number of images.
\ir helpers.sql

WITH rows AS (SELECT i, md5(:seed || 'overlay' || i) AS h FROM generate_series(:first::bigint, :last) AS i)
INSERT INTO overlays
SELECT h::uuid,
    md5(:seed || 'image' || (1 + i % :parents))::uuid,
    pg_temp.pick('{grid,label,marker,fog}', n0),
    pg_temp.json_or_nasty(i, format('{"points": [[%s, %s.5], [%s, -%s]], "label": %s, "opacity": 0.%s}',
        n0 % 4096, n1 % 4096, n2 % 4096, n3 % 4096,
        coalesce(to_json(pg_temp.text_or_nasty(i + 700, h))::text, 'null'), n1 % 100))::jsonb,
    pg_temp.moment(i), pg_temp.moment(i) + n1 * interval '1 microsecond',
    n0 % 50 = 0, CASE WHEN n0 % 50 = 0 THEN pg_temp.moment(i) + interval '90 days' END
FROM rows,
LATERAL (SELECT pg_temp.number(h, 0) AS n0, pg_temp.number(h, 1) AS n1,
                pg_temp.number(h, 2) AS n2, pg_temp.number(h, 3) AS n3) AS hash;
