-- Their rows.
INSERT INTO "Ta""b.le
x" ("select", "New
Line", c, n, d, r, b, u, ts, t, dt, iv, j, jb, a, ta, m, ma, s, p, rng, ip, bits, mo) VALUES
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  ('', '', '', 0, '-0', '-0', '', '00000000-0000-0000-0000-000000000000', '-infinity', '-infinity', '-infinity', '0', '""', '""', '{}', '{}', 'sad', '{}', '', '(,)', 'empty', '::1', '', 0),
  ('NULL', E'\\N', 'ab', 1.10, 'NaN', 'NaN', '\x00ff27220a', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'infinity', 'infinity', 'infinity', '1 mon -1 day 00:00:00.000001',
   '{"a": 1.0, "a":  2, "b": [1.00, 12345678901234567890.123]}', '{"z": 1.0, "a": "\n\"q\""}', '{NULL,1}', '{NULL,"NULL","a,b","\"q\"",""}', 'it''s ok', '{sad,"it''s ok"}', 'x', '(1,"a ""q"", b")', '[1,5)', '10.0.0.0/8', '101', 12.34),
  (E'tab\tnew\nline\rback\\slash', E'\u00e9\U0001F600', '  x', 'NaN', 'infinity', '-infinity', decode(repeat('00', 3000), 'hex'), NULL, '2026-10-25 02:30:00.123456+02', '2026-03-29 02:30:00.000001', '0001-01-01 BC', '-178000000 years', '[]', '[]', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -0.01);
INSERT INTO nothing DEFAULT VALUES;
INSERT INTO nothing DEFAULT VALUES;
INSERT INTO no_key VALUES ('twice'), ('twice'), (NULL);
INSERT INTO parent VALUES (2, NULL), (1, 2);
SELECT setval('parent_id_seq', 41);
INSERT INTO a_child VALUES (1, 1, '[1,2)'), (7, 2, NULL);
INSERT INTO parted VALUES (1, 1), (2, 2), (3, NULL);
