-- Rows first to last of images, with 1 to 20 KB of jsonb; one of 100 has 200 to 350 KB. Parameters (psql variables):
-- seed, first, last.
\ir ../../demo/sql/helpers.sql

WITH prose AS MATERIALIZED (SELECT pg_temp.prose(:seed) AS letters),
rows AS (SELECT i, md5(:seed || 'image' || i) AS h FROM generate_series(:first::bigint, :last) AS i)
INSERT INTO images
SELECT h::uuid,
    pg_temp.pick('{map,portrait,item,scene}', n0),
    pg_temp.pick('{battle,world,tactical,npc,monster}', n1),
    jsonb_build_object('prompt', pg_temp.piece(prose.letters, 1 + n3 % 7500, 900 + n2 % 8000), 'seed', n2, 'tiles',
        (SELECT jsonb_agg(md5(h || tile) ORDER BY tile)
         FROM generate_series(1, CASE WHEN i % 100 = 1 THEN 5600 + n2 % 4000 ELSE n1 % 300 END) AS tile)),
    pg_temp.json_or_nasty(i, format('{"model": "v%s", "cost": %s.%s0, "note": "%s"}', n1 % 9, n2 % 3, n3 % 100,
        left(h, 10)))::jsonb,
    CASE n0 % 5 WHEN 0 THEN NULL WHEN 1 THEN '[]' ELSE format('[{"x": %s, "y": -%s.50}]', n1 % 900, n2) END::jsonb,
    CASE n1 % 5 WHEN 0 THEN NULL WHEN 1 THEN '[]' ELSE format('["%s"]', md5(h || 'reference')::uuid) END::jsonb,
    pg_temp.moment(i), pg_temp.moment(i) + n1 * interval '1 microsecond',
    n0 % 50 = 0, CASE WHEN n0 % 50 = 0 THEN pg_temp.moment(i) + interval '90 days' END
FROM rows, prose,
LATERAL (SELECT pg_temp.number(h, 0) AS n0, pg_temp.number(h, 1) AS n1,
                pg_temp.number(h, 2) AS n2, pg_temp.number(h, 3) AS n3) AS hash;
