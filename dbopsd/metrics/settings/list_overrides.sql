-- summary: SELECT pg_db_role_setting
SELECT
  pg_catalog.split_part(entry, '=', 1) AS setting,
  coalesce(r.rolname::text, '') AS role,
  coalesce(d.datname::text, '') AS postgres_database,
  pg_catalog.substr(entry, pg_catalog.strpos(entry, '=') + 1) AS value
FROM pg_catalog.pg_db_role_setting s
CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS entry
LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
ORDER BY 1, 2, 3
