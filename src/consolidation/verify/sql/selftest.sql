-- The scratch table of the verifier's self-test, the same on both sides.
CREATE TEMPORARY TABLE consolidation_selftest (
    id integer PRIMARY KEY,
    name text,
    label character varying(20),
    amount numeric,
    ratio double precision,
    at timestamp with time zone,
    doc json,
    raw bytea
);
INSERT INTO consolidation_selftest VALUES
    (1, 'one', 'A', 1.0, 0, '2026-03-29 00:30:00+00', '{"a": 1}', '\x00'),
    (2, 'two', 'B', 2, 'NaN', '2026-10-25 00:30:00+00', '{"a": 2}', '\x01'),
    (3, '', 'B', NULL, 'Infinity', NULL, 'null', ''),
    (4, NULL, '', 4.25, -1.5, 'infinity', NULL, NULL)
