-- The tables of a side and the capture on each. Plain reads of the catalog: they show what this transaction's snapshot
-- sees, unlike pg_relation_filenode() and to_regclass(), which show what is committed now.
-- mark: another one after the table was truncated or rewritten, a partition came or went, its key or its columns
-- changed, an enum or a composite type where it has a column of a type that is not built in, or its capture was switched
-- or made again, whoever did it: then the noted keys do not say all that changed.
-- members: the table and its partitions. triggers: how many they have of the capture's, and how many should be enabled.
-- schema: name of the schema; tables: text[] of table names, empty for all; left_behind: text[] of names not to take
-- along; trigger: pattern of the names of the capture's triggers.
WITH RECURSIVE root AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND CASE WHEN cardinality(%(tables)s::text[]) = 0 THEN c.relname <> ALL (%(left_behind)s::text[])
                ELSE c.relname = ANY (%(tables)s::text[]) END
), member (root, oid, depth) AS (
    SELECT oid, oid, 0 FROM root
    UNION ALL
    SELECT m.root, i.inhrelid, depth + 1
      FROM member m JOIN pg_inherits i ON i.inhparent = m.oid JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
), part AS (
    SELECT m.root,
           jsonb_agg(jsonb_build_array(n.nspname, c.relname, c.oid::bigint) ORDER BY m.depth, c.oid) AS members,
           coalesce(sum(t.number), 0)::int AS triggers,
           coalesce(sum(t.enabled), 0)::int AS enabled,
           coalesce(sum(t.disabled), 0)::int AS disabled,
           jsonb_agg(jsonb_build_array(c.oid::bigint, c.relfilenode::bigint, t.made) ORDER BY c.oid) AS made
      FROM member m
      JOIN pg_class c ON c.oid = m.oid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN LATERAL (
          SELECT count(*) AS number,
                 count(*) FILTER (WHERE tgenabled = 'A') AS enabled,
                 count(*) FILTER (WHERE tgenabled = 'D') AS disabled,
                 jsonb_agg(jsonb_build_array(tgname, tgenabled::text, t.xmin::text) ORDER BY tgname) AS made
            FROM pg_trigger t
           WHERE t.tgrelid = c.oid AND t.tgname LIKE %(trigger)s
      ) AS t ON true
     GROUP BY m.root
), types AS (
    SELECT jsonb_build_array(
             (SELECT jsonb_agg(jsonb_build_array(enumtypid::bigint, enumlabel) ORDER BY oid) FROM pg_enum),
             (SELECT jsonb_agg(jsonb_build_array(a.attrelid::bigint, a.attnum, a.atttypid::bigint, a.atttypmod, a.attisdropped)
                               ORDER BY a.attrelid, a.attnum)
                FROM pg_attribute a JOIN pg_class k ON k.oid = a.attrelid JOIN pg_type t ON t.oid = k.reltype
               WHERE a.attnum > 0
                 AND (k.relkind = 'c' OR t.oid IN (SELECT u.atttypid FROM pg_attribute u)
                      OR t.typarray IN (SELECT u.atttypid FROM pg_attribute u)))) AS made
)
SELECT r.nspname AS schema,
       r.relname AS name,
       r.oid::bigint AS oid,
       p.members, p.triggers, p.enabled, p.disabled,
       coalesce(key.columns, '[]') AS key,
       coalesce(log.columns, '{}') AS log_columns,
       log.bytes AS log_bytes,
       left(encode(sha256(convert_to((jsonb_build_array(
           p.made, key.columns, log.made, functions.made, columns.made) || columns.types)::text, 'UTF8')), 'hex'), 32) AS mark
  FROM root r
  JOIN part p ON p.root = r.oid
  LEFT JOIN LATERAL (
      -- Each column of the primary key with the operator that its index calls equality.
      SELECT jsonb_agg(jsonb_build_array(a.attname, coalesce(on_.nspname, 'pg_catalog'), coalesce(o.oprname, '='))
                       ORDER BY k.ord) AS columns
        FROM pg_index i
       CROSS JOIN unnest(i.indkey::smallint[], i.indclass::oid[]) WITH ORDINALITY AS k (attnum, opclass, ord)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        JOIN pg_opclass c ON c.oid = k.opclass
        LEFT JOIN pg_amop op ON op.amopfamily = c.opcfamily AND op.amoplefttype = c.opcintype
                            AND op.amoprighttype = c.opcintype AND op.amopstrategy = 3
                            AND op.amopmethod = (SELECT oid FROM pg_am WHERE amname = 'btree')
        LEFT JOIN pg_operator o ON o.oid = op.amopopr
        LEFT JOIN pg_namespace on_ ON on_.oid = o.oprnamespace
       WHERE i.indrelid = r.oid AND i.indisprimary AND k.ord <= i.indnkeyatts
  ) AS key ON true
  LEFT JOIN LATERAL (
      SELECT (SELECT array_agg(a.attname::text ORDER BY a.attnum)
                FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
             pg_relation_size(c.oid) AS bytes,
             jsonb_build_array(c.oid::bigint, c.relfilenode::bigint) AS made
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = 'consolidation' AND c.relname = 'changed_' || r.oid AND c.relkind = 'r'
  ) AS log ON true
  LEFT JOIN LATERAL (
      SELECT jsonb_agg(jsonb_build_array(f.proname, f.xmin::text) ORDER BY f.proname) AS made
        FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
       WHERE n.nspname = 'consolidation' AND f.proname IN ('note_new_' || r.oid, 'note_old_' || r.oid)
  ) AS functions ON true
  LEFT JOIN LATERAL (
      SELECT jsonb_agg(jsonb_build_array(a.attname, a.atttypid::bigint, a.atttypmod, a.attgenerated::text)
                       ORDER BY a.attnum) AS made,
             CASE WHEN max(a.atttypid) >= 16384 THEN (SELECT made FROM types) ELSE '[]' END AS types -- 16384: built in below
        FROM pg_attribute a WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  ) AS columns ON true
 ORDER BY r.relname
