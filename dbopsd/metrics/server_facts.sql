-- summary: SELECT server facts
SELECT
  pg_catalog.current_setting('server_version_num')::pg_catalog.int4 / 10000 AS version,
  pg_catalog.pg_is_in_recovery() AS standby,
  pg_catalog.current_database()::pg_catalog.text AS postgres_database,
  (
    SELECT coalesce(pg_catalog.jsonb_agg(r.rolname), '[]')
    FROM pg_catalog.pg_roles AS r
    WHERE r.rolname ~ '^pg_' AND pg_catalog.pg_has_role(r.oid, 'USAGE')
  ) AS privileges,
  pg_catalog.pg_backend_pid() AS backend_pid,
  (
    SELECT extract(EPOCH FROM a.backend_start)::pg_catalog.float8
    FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a
  ) AS backend_started_at,
  extract(EPOCH FROM pg_catalog.pg_postmaster_start_time())::pg_catalog.float8 AS server_started_at,
  CASE
    WHEN pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE') THEN pg_catalog.current_setting('data_directory')
  END AS data_directory,
  -- An extension in a schema without USAGE might as well not be there.
  (
    SELECT coalesce(pg_catalog.jsonb_object_agg(e.extname, pg_catalog.jsonb_build_array(e.extversion, n.nspname)), '{}')
    FROM pg_catalog.pg_extension AS e
    INNER JOIN pg_catalog.pg_namespace AS n ON e.extnamespace = n.oid
    WHERE pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  ) AS extensions
