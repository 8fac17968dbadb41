-- Encoding and locale of this database (15 and newer).
SELECT pg_encoding_to_char(encoding) AS encoding,
       CASE datlocprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' ELSE 'builtin' END AS provider,
       -- daticulocale until 16, datlocale from 17
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', datcollate) AS locale,
       datctype AS ctype
  FROM pg_database d
 WHERE datname = current_database()
