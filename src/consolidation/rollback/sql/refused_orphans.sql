-- For each foreign key from or to some tables: the statement that counts the rows without a row to refer to.
-- oids: bigint[] of the tables.
SELECT con.conrelid::regclass::text AS table_name, con.conname AS name,
       format('SELECT count(*) FROM %%s AS c WHERE %%s AND NOT EXISTS (SELECT FROM %%s AS p WHERE %%s)',
              con.conrelid::regclass, string_agg(format('c.%%I IS NOT NULL', child.attname), ' AND '),
              con.confrelid::regclass,
              string_agg(format('p.%%I OPERATOR(%%I.%%s) c.%%I', parent.attname, n.nspname, o.oprname, child.attname),
                         ' AND ')) AS statement
  FROM pg_constraint con
 CROSS JOIN unnest(con.conkey, con.confkey, con.conpfeqop) AS k (child, parent, operator)
  JOIN pg_attribute child ON child.attrelid = con.conrelid AND child.attnum = k.child
  JOIN pg_attribute parent ON parent.attrelid = con.confrelid AND parent.attnum = k.parent
  JOIN pg_operator o ON o.oid = k.operator
  JOIN pg_namespace n ON n.oid = o.oprnamespace
 WHERE con.contype = 'f' AND con.conparentid = 0
   AND (con.conrelid::bigint = ANY (%(oids)s) OR con.confrelid::bigint = ANY (%(oids)s))
 GROUP BY con.oid, con.conrelid, con.confrelid, con.conname
