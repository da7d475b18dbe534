-- summary: SELECT pg_stat_statements extension
SELECT
  pg_catalog.current_setting('server_version_num')::pg_catalog.int4 / 10000 AS version,
  pg_catalog.current_database()::pg_catalog.text AS postgres_database,
  e.extversion,
  n.nspname::pg_catalog.text AS schema,
  coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), false) AS usable,
  (
    SELECT count(*) > 0
    FROM pg_catalog.pg_available_extensions AS a
    WHERE a.name = 'pg_stat_statements'
  ) AS available,
  pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all
FROM (VALUES (1)) AS one (row)
LEFT JOIN pg_catalog.pg_extension AS e ON e.extname = 'pg_stat_statements'
LEFT JOIN pg_catalog.pg_namespace AS n ON e.extnamespace = n.oid
