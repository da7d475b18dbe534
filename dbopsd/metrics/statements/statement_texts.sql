-- summary: SELECT pg_stat_statements texts
SELECT DISTINCT ON (s.queryid, s.dbid, s.userid)
  s.queryid::pg_catalog.text AS query_id,
  -- The same identifier has other texts elsewhere: it does not tell the names of columns apart.
  coalesce(d.datname::pg_catalog.text, s.dbid::pg_catalog.text) AS postgres_database,
  coalesce(u.rolname::pg_catalog.text, s.userid::pg_catalog.text) AS role,
  pg_catalog.left(s.query, %(most)s + 1) AS text
FROM {schema}.pg_stat_statements(true) AS s
LEFT JOIN pg_catalog.pg_roles AS u ON s.userid = u.oid
LEFT JOIN pg_catalog.pg_database AS d ON s.dbid = d.oid
WHERE s.queryid = any(%(query_ids)s::pg_catalog.int8 []) AND s.query <> '<insufficient privilege>'
