-- Rows first to last of campaigns. Parameters (psql variables): seed, first, last.
\ir helpers.sql

WITH prose AS MATERIALIZED (SELECT pg_temp.prose(:seed) AS letters),
rows AS (SELECT i, md5(:seed || 'campaign' || i) AS h FROM generate_series(:first::bigint, :last) AS i)
INSERT INTO campaigns
SELECT h::uuid,
    coalesce(pg_temp.text_or_nasty(i, initcap(pg_temp.piece(prose.letters, 1 + n0 % 15000, 12 + n1 % 40))), 'unnamed'),
    pg_temp.text_or_nasty(i, pg_temp.piece(prose.letters, 1 + n2 % 15000, 80 + n1 % 400)),
    pg_temp.pick('{traditional,antitheticon,sandbox}', n0),
    pg_temp.pick('{draft,active,paused,completed}', n1),
    CASE WHEN n0 % 3 > 0 THEN md5(h || 'theme')::uuid END,
    pg_temp.json_or_nasty(i, format('{"name": %s, "tone": "%s", "weight": %s.%s}',
        to_json(pg_temp.piece(prose.letters, 1 + n3 % 15000, 20)),
        pg_temp.pick('{grim,light,"high fantasy",noir}', n3), n2 % 10, n3 % 1000))::json,
    pg_temp.json_or_nasty(i + 500, format('{"players": %s, "tags": ["%s", "%s"], "notes": %s}', n1 % 7,
        left(h, 6), right(h, 4), to_json(pg_temp.piece(prose.letters, 1 + n3 % 15000, n2 % 300))))::json,
    md5(h || 'creator')::uuid, md5(h || 'owner')::uuid,
    pg_temp.moment(i), pg_temp.moment(i) + n1 * interval '1 microsecond',
    n0 % 50 = 0, CASE WHEN n0 % 50 = 0 THEN pg_temp.moment(i) + interval '90 days' END
FROM rows, prose,
LATERAL (SELECT pg_temp.number(h, 0) AS n0, pg_temp.number(h, 1) AS n1,
                pg_temp.number(h, 2) AS n2, pg_temp.number(h, 3) AS n3) AS hash;
