-- summary: SELECT pg_database connectable
SELECT
  datname::pg_catalog.text AS name,
  pg_catalog.has_database_privilege(oid, 'CONNECT') AS permitted
FROM pg_catalog.pg_database
WHERE datallowconn AND NOT datistemplate
ORDER BY datname
