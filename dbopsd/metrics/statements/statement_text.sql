-- summary: SELECT pg_stat_statements text
SELECT
  s.query AS text,
  coalesce(r.rolname::pg_catalog.text, '') AS role,
  coalesce(d.datname::pg_catalog.text, '') AS postgres_database,
  s.dbid = (SELECT o.oid FROM pg_catalog.pg_database AS o WHERE o.datname = pg_catalog.current_database()) AS here,
  coalesce(pg_catalog.pg_has_role(r.oid, %(how)s), false) AS may_become,
  coalesce((
    SELECT pg_catalog.substr(c.entry, pg_catalog.length('search_path=') + 1)
    FROM pg_catalog.pg_db_role_setting AS o
    CROSS JOIN LATERAL pg_catalog.unnest(o.setconfig) AS c (entry)
    WHERE
      o.setdatabase IN (0, s.dbid)
      AND o.setrole IN (0, s.userid)
      AND c.entry LIKE 'search_path=%%'
    -- As a session has them: of the role in the database, of the role, of the database, of all.
    ORDER BY (o.setrole <> 0 AND o.setdatabase <> 0) DESC, o.setrole <> 0 DESC, o.setdatabase <> 0 DESC
    LIMIT 1
  ), (
    SELECT g.boot_val
    FROM pg_catalog.pg_settings AS g
    WHERE g.name = 'search_path'
  )) AS search_path
FROM {schema}.pg_stat_statements(true) AS s
LEFT JOIN pg_catalog.pg_roles AS r ON s.userid = r.oid
LEFT JOIN pg_catalog.pg_database AS d ON s.dbid = d.oid
WHERE s.queryid = %(query_id)s
-- The text in the database of the session first, and one that may be read.
ORDER BY 4 DESC, s.query = '<insufficient privilege>', s.calls DESC
LIMIT 1
