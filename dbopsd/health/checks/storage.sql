-- summary: SELECT pg_database_size
SELECT
  pg_database_size(current_database()) AS size_bytes,
  CASE
    WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN current_setting('data_directory')
  END AS data_directory,
  floor(extract(EPOCH FROM pg_postmaster_start_time()))::bigint AS started_at
