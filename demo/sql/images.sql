-- Rows first to last of images; one of 500 has 200 to 350 KB. Parameters (psql variables): seed, first, last.
\ir helpers.sql

WITH prose AS MATERIALIZED (SELECT pg_temp.prose(:seed) AS letters),
rows AS (SELECT i, md5(:seed || 'image' || i) AS h FROM generate_series(:first::bigint, :last) AS i)
INSERT INTO images
SELECT h::uuid,
    pg_temp.pick('{map,portrait,item,scene}', n0),
    pg_temp.pick('{battle,world,tactical,npc,monster}', n1),
    CASE WHEN i % 500 = 1
        THEN (SELECT jsonb_build_object('format', 'tiles', 'tiles', jsonb_agg(md5(h || tile) ORDER BY tile))
              FROM generate_series(1, 5600 + n2 % 4000) AS tile)
        ELSE pg_temp.json_or_nasty(i, format('{"prompt": %s, "size": [%s, %s], "seed": %s, "hash": "%s"}',
            to_json(pg_temp.piece(prose.letters, 1 + n3 % 14800, 100 + n2 % 900)),
            256 + n0 % 4096, 256 + n1 % 4096, n2, h))::jsonb END,
    pg_temp.json_or_nasty(i + 500, format('{"model": "v%s", "cost": %s.%s0, "note": %s}', n1 % 9, n2 % 3, n3 % 100,
        coalesce(to_json(pg_temp.text_or_nasty(i, left(h, 10)))::text, 'null')))::jsonb,
    CASE n0 % 5 WHEN 0 THEN NULL WHEN 1 THEN '[]' ELSE format('[{"x": %s, "y": -%s.50}]', n1 % 900, n2) END::jsonb,
    CASE n1 % 5 WHEN 0 THEN NULL WHEN 1 THEN '[]' ELSE format('["%s"]', md5(h || 'reference')::uuid) END::jsonb,
    pg_temp.moment(i), pg_temp.moment(i) + n1 * interval '1 microsecond',
    n0 % 50 = 0, CASE WHEN n0 % 50 = 0 THEN pg_temp.moment(i) + interval '90 days' END
FROM rows, prose,
LATERAL (SELECT pg_temp.number(h, 0) AS n0, pg_temp.number(h, 1) AS n1,
                pg_temp.number(h, 2) AS n2, pg_temp.number(h, 3) AS n3) AS hash;
