-- summary: SELECT pg_backend_pid
SELECT
    pg_catalog.pg_backend_pid(), pg_catalog.clock_timestamp(), pg_catalog.current_setting('search_path')
