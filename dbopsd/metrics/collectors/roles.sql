/*
about = "Limits of connections by role, from pg_roles."
every_s = 60
prefix = "pg_roles_"
labels = ["rolname"]

[metrics.pg_roles_connection_limit]
unit = "{connection}"
help = "Limit of connections of the role. -1: none."
*/
SELECT
  r.rolname::pg_catalog.text AS rolname,
  r.rolconnlimit AS connection_limit
FROM pg_catalog.pg_roles AS r
-- PostgreSQL's own roles cannot log in.
WHERE r.rolname !~ '^pg_'
ORDER BY r.rolname
LIMIT 1000
