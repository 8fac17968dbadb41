-- Encoding and locale of this database (13 and 14).
SELECT pg_encoding_to_char(encoding) AS encoding, 'libc' AS provider, datcollate AS locale, datctype AS ctype
  FROM pg_database
 WHERE datname = current_database()
