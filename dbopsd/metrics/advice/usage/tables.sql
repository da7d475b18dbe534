-- summary: SELECT use of tables
SELECT
  c.oid::pg_catalog.text AS key,
  pg_catalog.pg_stat_get_numscans(c.oid) AS scans,
  pg_catalog.pg_stat_get_tuples_returned(c.oid) AS read,
  pg_catalog.pg_stat_get_dead_tuples(c.oid) AS dead
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE
  c.relkind IN ('r', 'm')
  AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
