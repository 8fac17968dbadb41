-- Rows first to last of chapters, with 2 to 8 KB of json. Parameters (psql variables): seed, first, last,
-- parents = number of campaigns.
\ir ../../demo/sql/helpers.sql

WITH prose AS MATERIALIZED (SELECT pg_temp.prose(:seed) AS letters),
rows AS (SELECT i, md5(:seed || 'chapter' || i) AS h FROM generate_series(:first::bigint, :last) AS i)
INSERT INTO chapters
SELECT h::uuid,
    CASE WHEN i % 997 > 0 THEN md5(:seed || 'campaign' || (1 + i % :parents))::uuid END,
    pg_temp.piece(prose.letters, 1 + n0 % 15000, 10 + n1 % 50),
    pg_temp.text_or_nasty(i, pg_temp.piece(prose.letters, 1 + n2 % 15000, n1 % 120)),
    pg_temp.pick('{story,battle,interlude,epilogue}', n1),
    pg_temp.pick('{draft,written,reviewed,published}', n2),
    (i / :parents)::integer,
    pg_temp.json_or_nasty(i, format('{"scene": "%s", "text": %s, "tension": %s.%s, "beats": [%s, %s, %s]}', left(h, 8),
        to_json(pg_temp.piece(prose.letters, 1 + n0 % 7500, 1900 + n3 % 6000)), n1 % 10, n2 % 100, n0, n1, n2))::json,
    format('{"words": %s, "author": "%s"}', n3 % 5000, right(h, 12))::json,
    CASE n0 % 4 WHEN 0 THEN format('["%s"]', md5(:seed || 'chapter' || greatest(i - 1, 1))::uuid) ELSE '[]' END::json,
    pg_temp.moment(i), pg_temp.moment(i) + n1 * interval '1 microsecond',
    n0 % 50 = 0, CASE WHEN n0 % 50 = 0 THEN pg_temp.moment(i) + interval '90 days' END
FROM rows, prose,
LATERAL (SELECT pg_temp.number(h, 0) AS n0, pg_temp.number(h, 1) AS n1,
                pg_temp.number(h, 2) AS n2, pg_temp.number(h, 3) AS n3) AS hash;
