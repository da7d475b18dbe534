-- summary: SELECT pg_database_size
SELECT
  pg_catalog.pg_database_size(pg_catalog.current_database()) AS size_bytes,
  CASE
    WHEN pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE') THEN pg_catalog.current_setting('data_directory')
  END AS data_directory,
  pg_catalog.floor(extract(EPOCH FROM pg_catalog.pg_postmaster_start_time()))::pg_catalog.int8 AS started_at
