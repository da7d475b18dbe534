-- summary: SELECT use of server
SELECT
  -- A role may be denied it; then the server is known by the database's identifier alone.
  CASE
    WHEN pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
      THEN (SELECT s.system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system() AS s)
    ELSE ''
  END || '/' || d.oid::pg_catalog.text AS identity,
  pg_catalog.pg_is_in_recovery() AS standby,
  coalesce(pg_catalog.pg_stat_get_db_stat_reset_time(d.oid)::pg_catalog.text, '') AS reset_at
FROM pg_catalog.pg_database AS d
WHERE d.datname = pg_catalog.current_database()
