-- summary: SELECT pg_db_role_setting
SELECT
  split_part(entry, '=', 1) AS setting,
  coalesce(r.rolname::text, '') AS role,
  coalesce(d.datname::text, '') AS postgres_database,
  substr(entry, strpos(entry, '=') + 1) AS value
FROM pg_db_role_setting s
CROSS JOIN LATERAL unnest(s.setconfig) AS entry
LEFT JOIN pg_roles r ON r.oid = s.setrole
LEFT JOIN pg_database d ON d.oid = s.setdatabase
ORDER BY 1, 2, 3
