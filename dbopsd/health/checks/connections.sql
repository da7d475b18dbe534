-- summary: SELECT pg_stat_activity connections
SELECT
  pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS permitted,
  pg_catalog.count(*) FILTER (WHERE backend_type = 'client backend') AS used,
  pg_catalog.current_setting('max_connections')::pg_catalog.int4
  - pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int4
  -- PostgreSQL 16 on
  - coalesce(pg_catalog.current_setting('reserved_connections', true)::pg_catalog.int4, 0) AS available
FROM pg_catalog.pg_stat_activity
