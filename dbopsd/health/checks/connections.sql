-- summary: SELECT pg_stat_activity connections
SELECT
  pg_has_role('pg_read_all_stats', 'USAGE') AS permitted,
  count(*) FILTER (WHERE backend_type = 'client backend') AS used,
  current_setting('max_connections')::int
  - current_setting('superuser_reserved_connections')::int
  -- PostgreSQL 16 on
  - coalesce(current_setting('reserved_connections', true)::int, 0) AS available
FROM pg_stat_activity
