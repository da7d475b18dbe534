-- summary: SELECT pg_stat_activity idle in transaction
SELECT
  pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS permitted,
  longest.seconds,
  longest.pid,
  longest.application_name
FROM (SELECT 1) AS always
LEFT JOIN (
  SELECT
    extract(EPOCH FROM pg_catalog.clock_timestamp() - state_change)::pg_catalog.float8 AS seconds,
    pid,
    application_name
  FROM pg_catalog.pg_stat_activity
  WHERE state IN ('idle in transaction', 'idle in transaction (aborted)')
  ORDER BY state_change
  LIMIT 1
) AS longest ON true
