-- Which of some databases exist, with their comments.
-- names: text[] of database names.
SELECT d.datname AS name, coalesce(shobj_description(d.oid, 'pg_database'), '') AS comment
  FROM pg_database d
 WHERE d.datname = ANY (%(names)s::text[])
