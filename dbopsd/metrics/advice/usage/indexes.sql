-- summary: SELECT use of indexes
SELECT
  c.oid::pg_catalog.text AS key,
  pg_catalog.pg_stat_get_numscans(c.oid) AS scans
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE
  c.relkind = 'i'
  AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
