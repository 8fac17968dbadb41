-- Functions of the generator, in the session's temporary schema. They give the same on every version.

-- 28 bits of a hash, as a number: part 0 to 3 of the md5 of the key.
CREATE FUNCTION pg_temp.number(hash text, part integer) RETURNS integer
LANGUAGE sql IMMUTABLE RETURN ('x' || substr(hash, 1 + part * 8, 7))::bit(28)::integer;

CREATE FUNCTION pg_temp.pick(choices text[], n integer) RETURNS text
LANGUAGE sql IMMUTABLE RETURN choices[1 + n % cardinality(choices)];

-- Text that breaks careless code, for rows 1 to 12 of every 997; the given text for all others.
CREATE FUNCTION pg_temp.text_or_nasty(i bigint, usual text) RETURNS text
LANGUAGE sql IMMUTABLE RETURN CASE i % 997
    WHEN 1 THEN NULL
    WHEN 2 THEN ''
    WHEN 3 THEN 'NULL'
    WHEN 4 THEN '\N'
    WHEN 5 THEN E'it''s "quoted", back\\slashed; -- and $$more$$'
    WHEN 6 THEN E'two\nlines\r\n\tand a tab\x01'
    WHEN 7 THEN U&'Gr\00FC\00DFe, \6771\4EAC, \+01F409, e\0301 is not \00E9, \200Fright to left'
    WHEN 8 THEN '  spaces around  '
    WHEN 9 THEN '{"not": json'
    WHEN 10 THEN '%s %(name)s {{ template }} :variable'
    WHEN 11 THEN U&'\FEFF\FFFD\FFFF\+10FFFF'
    WHEN 12 THEN 'a,b;c|d,"e"'
    ELSE usual END;

-- The same for json objects: spelling of numbers, order, spacing and repetition of keys, depth.
CREATE FUNCTION pg_temp.json_or_nasty(i bigint, usual text) RETURNS text
LANGUAGE sql IMMUTABLE RETURN CASE i % 997
    WHEN 1 THEN '{}'
    WHEN 2 THEN '{"a": -0, "b": 1.0, "c": 1e5, "d": 1.00, "e": 1E+5, "f": -0.0}'
    WHEN 3 THEN '{ "z" : 1 ,"a":[ ] , "m":{ } }'
    WHEN 4 THEN '{"n": 12345678901234567890.123456789012345678901234567890, "tiny": 1e-300}'
    WHEN 5 THEN '{"": "", "null": null, "NULL": "NULL", "t": true, "f": false}'
    WHEN 6 THEN '{"quotes": "it''s \"quoted\"", "escapes": "\\ \/ \b\f\n\r\t", "unicode": "\u00e9\ud83d\udc09"}'
    WHEN 7 THEN '{"a": [[1], [2, [3, [4, [5, {"b": [{}]}]]]]]}'
    WHEN 8 THEN '{"repeated": 1, "repeated": 2}'
    ELSE usual END;

-- Moments around both changes of the clock in Europe, far away ones; else one minute and a bit per row.
CREATE FUNCTION pg_temp.moment(i bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE RETURN CASE i % 997
    WHEN 1 THEN '2024-03-31 01:59:59.999999+01'::timestamptz
    WHEN 2 THEN '2024-03-31 03:00:00.000001+02'::timestamptz
    WHEN 3 THEN '2024-10-27 02:30:00+02'::timestamptz
    WHEN 4 THEN '2024-10-27 02:30:00+01'::timestamptz
    WHEN 5 THEN '1970-01-01 00:00:00+00'::timestamptz
    WHEN 6 THEN '2999-12-31 23:59:59.999999+00'::timestamptz
    ELSE '2021-01-01 00:00:00+00'::timestamptz + (i % 2000000) * interval '61.234567 seconds' END;

-- About 16,000 letters of prose, different for every seed; rows take pieces of it.
CREATE FUNCTION pg_temp.prose(seed bigint) RETURNS bytea
LANGUAGE sql IMMUTABLE RETURN (
    SELECT string_agg(pg_temp.pick(
        '{the,dragon,waits,below,a,tower,of,glass,and,whispers,"no one",remembers,who,lit,this,lantern,beyond,rivers,
          silver,mountain,captain,returned,with,seven,letters,"in her",hand,storm,harbour,forgotten,stone,oath,winter,
          crown,slowly,falls,under,moonlight,"as if",nothing,happened,map,torn,between,brothers,gate,opens,only,for,
          those,"she trusts"}',
        pg_temp.number(md5(seed || 'prose' || n), 0)) || CASE WHEN n % 11 = 0 THEN '. ' ELSE ' ' END,
        '' ORDER BY n)::bytea
    FROM generate_series(1, 2600) AS n);

-- Bytes, because the n-th letter of a text in UTF-8 is found by counting from its start.
CREATE FUNCTION pg_temp.piece(prose bytea, start integer, letters integer) RETURNS text
LANGUAGE sql STABLE RETURN convert_from(substr(prose, start, letters), 'UTF8');
