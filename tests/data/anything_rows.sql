-- Their rows.
INSERT INTO own_types (m, ms, i, o, os, s, ss, p, ps, st, n, po, f, fm, fs) VALUES
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', NULL, NULL, NULL, NULL, NULL),
  ('', '{"",NULL,"So \"so\", (really)"}', ROW(NULL, NULL, NULL, NULL), ROW(NULL, NULL, NULL), '{}', '', '{}', '', '{}',
   'NULL', '{}', ROW(1, NULL, NULL, NULL), 'empty', '{}', '{}'),
  ('So "so", (really)', '{}', ROW(1, E'a,"b"\n\\', ' x', '2026-10-25 02:30:00.000001+02'),
   ROW(ROW(0, '', '', 'infinity'), ARRAY[ROW(1, 'NULL', NULL, NULL), NULL]::"Inner"[], 'it''s ok'),
   ARRAY[ROW(NULL, '{}', '')]::outermost[], ' x ', '{NULL," x "}', ' x', '{"","x   ",NULL}', ' ', '{1,NULL}',
   ROW(2, '', '', NULL), '[-0,NaN]', '{(,-1],[0.1,Infinity)}', '{empty,"(,)"}');
INSERT INTO reckoned (a, b, c) VALUES (1, '', NULL), (NULL, 'NULL', '-infinity'), (2147483646, E'\n', '2026-03-29 02:30+01');
INSERT INTO only_reckoned DEFAULT VALUES;
INSERT INTO only_reckoned DEFAULT VALUES;
INSERT INTO numbered DEFAULT VALUES;
INSERT INTO numbered (small, "100%s big") VALUES (-7, 9223372036854775807), (32767, 0);
SELECT setval('"of %s none"', 10), setval('"numbered_100%s big_seq"', 9223372036854775800);
INSERT INTO numbered_apart DEFAULT VALUES;

INSERT INTO events VALUES ('-infinity', '', NULL), ('2026-03-29 00:59:59.999999+00', 'x', ''), ('2026-03-29 03:00+02', 'x', 'a'),
  ('2026-10-25 02:30+02', '', 'b'), ('2026-10-25 02:30+01', '', 'c'), ('2026-10-25 02:30+01', 'rest', 'd');
INSERT INTO tickets VALUES ('-infinity', '', 1), ('2026-10-25 02:30+01', 'rest', 2), (NULL, 'x', NULL);
INSERT INTO spread SELECT md5(n::text)::uuid, n FROM generate_series(1, 40) n;
INSERT INTO spread VALUES (NULL, NULL), (NULL, NULL);

INSERT INTO animal VALUES (1, 'a cat'), (2, NULL);
INSERT INTO tame VALUES ('me'), ('me');
INSERT INTO dog VALUES (1, 'Rex', '', 'wuff'), (3, 'Rex', NULL, NULL);
INSERT INTO poodle (id, owner, bark, curls) VALUES (1, 'you', 'wau', 100), (4, NULL, NULL, NULL);

INSERT INTO late VALUES (1, 1, 2, '[2026-03-29,2026-10-25)'), (2, 2, NULL, '[2026-10-25,)'), (-1, NULL, 1, '[2026-04-01,)');
INSERT INTO hen VALUES (1, NULL), (2, NULL);
INSERT INTO egg VALUES (1, 2), (2, 1), (3, NULL);
UPDATE hen SET egg = id;
INSERT INTO matched VALUES (2, 1), (NULL, NULL);

INSERT INTO indexed SELECT md5(n::text)::uuid, 'a%s' || n, n, jsonb_build_object('a%s', n), int4range(n, n + 2), date '2026-01-01' + n
  FROM generate_series(1, 300) n;
INSERT INTO indexed VALUES (md5('')::uuid, '', NULL, NULL, NULL, NULL);
INSERT INTO ordered VALUES (2, 'a'), (1, 'b');
INSERT INTO unlogged VALUES ('x'), (NULL);
INSERT INTO worn VALUES (1, 'b', 2, 'd', 'e'), (NULL, NULL, NULL, NULL, NULL);
INSERT INTO no_columns DEFAULT VALUES;
INSERT INTO no_columns_left DEFAULT VALUES;
INSERT INTO no_columns_left DEFAULT VALUES;

INSERT INTO aliases SELECT 'c0', n, 'r', 's', 't', NULL, n, -n, n, n, 'u', '', 'p', 1, 'c', '', 'f', '{}', '%s', '%(schema)s'
  FROM generate_series(1, 20) n;
INSERT INTO "{from}" VALUES ('{}', 1), ('%s', NULL);
INSERT INTO "semi;colon -- '$$' \ back" VALUES (ROW(1, ';', NULL, NULL), 1, 2);
INSERT INTO "ääääääääääääääääääääääääääääää y" DEFAULT VALUES;
INSERT INTO pg_class VALUES (1259, 'pg_class');
INSERT INTO consolidation_rows VALUES (1, 2, '(0,1)');
INSERT INTO "select" VALUES ('me', 1);
INSERT INTO "Select" VALUES ('a', 'b', 'c');
