-- summary: SELECT pg_stat_statements of tables
WITH top AS (
  SELECT
    s.queryid,
    s.userid,
    pg_catalog.sum(s.calls)::pg_catalog.int8 AS calls,
    pg_catalog.sum(s.total_exec_time) / 1000 AS total_s
  FROM {schema}.pg_stat_statements(false) AS s
  WHERE
    s.queryid IS NOT NULL
    AND s.dbid = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
  GROUP BY s.queryid, s.userid
  HAVING pg_catalog.sum(s.calls) >= %(calls)s
  ORDER BY 4 DESC, s.queryid
  LIMIT %(limit)s
)

SELECT DISTINCT ON (t.total_s, t.queryid, t.userid)
  t.queryid::pg_catalog.text AS query_id,
  t.calls,
  t.total_s,
  s.query AS text,
  CASE WHEN pg_catalog.pg_has_role(r.oid, %(how)s) THEN r.rolname::pg_catalog.text ELSE '' END AS role,
  coalesce((
    SELECT pg_catalog.substr(c.entry, pg_catalog.length('search_path=') + 1)
    FROM pg_catalog.pg_db_role_setting AS o
    CROSS JOIN LATERAL pg_catalog.unnest(o.setconfig) AS c (entry)
    WHERE
      o.setdatabase IN (0, s.dbid)
      AND o.setrole IN (0, s.userid)
      AND c.entry LIKE 'search_path=%%'
    ORDER BY (o.setrole <> 0 AND o.setdatabase <> 0) DESC, o.setrole <> 0 DESC, o.setdatabase <> 0 DESC
    LIMIT 1
  ), (
    SELECT g.boot_val
    FROM pg_catalog.pg_settings AS g
    WHERE g.name = 'search_path'
  )) AS search_path
FROM top AS t
INNER JOIN {schema}.pg_stat_statements(true) AS s ON t.queryid = s.queryid AND t.userid = s.userid
INNER JOIN pg_catalog.pg_roles AS r ON t.userid = r.oid
WHERE
  s.dbid = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
  AND s.query <> '<insufficient privilege>'
ORDER BY t.total_s DESC, t.queryid, t.userid
