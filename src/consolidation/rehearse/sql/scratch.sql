-- The scratch database of a rehearsal, if it is there, and whether it is ours to drop: made by this role, with our mark or,
-- where the process died before it set that, with none. database: its name; mark: the comment.
SELECT d.datdba = (SELECT oid FROM pg_roles WHERE rolname = current_user)
       AND coalesce(shobj_description(d.oid, 'pg_database'), %(mark)s) = %(mark)s AS ours
  FROM pg_database d
 WHERE d.datname = %(database)s
