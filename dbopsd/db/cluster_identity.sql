-- summary: SELECT pg_control_system
SELECT
  system_identifier,
  extract(EPOCH FROM pg_catalog.pg_postmaster_start_time())::float8 AS started_at
FROM pg_catalog.pg_control_system()
