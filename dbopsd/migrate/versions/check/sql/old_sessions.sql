-- summary: SELECT pg_stat_activity
SELECT
  pid,
  application_name AS application,
  COALESCE(usename::pg_catalog.text, '') AS role
FROM pg_catalog.pg_stat_activity
WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
  AND backend_type OPERATOR(pg_catalog.=) 'client backend'
  AND pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
  AND application_name OPERATOR(pg_catalog.~) %(pattern)s
ORDER BY pid
