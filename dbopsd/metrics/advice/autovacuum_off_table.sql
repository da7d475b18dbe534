/*
about = "Tables that autovacuum leaves alone by their own setting."
kinds = ["autovacuum_off_table"]
severity = "warning"
risk = "Autovacuum begins with the table soon, which costs I/O once."
role = "any"
*/
SELECT
  pg_catalog.format('%%I.%%I', n.nspname, c.relname) AS object,
  pg_catalog.format('Let autovacuum look after %%I.%%I again', n.nspname, c.relname) AS title,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('option', o.option, 'pg_class.reloptions'),
    pg_catalog.jsonb_build_array('dead_rows', s.n_dead_tup::pg_catalog.text, 'pg_stat_user_tables'),
    pg_catalog.jsonb_build_array('last_vacuum', greatest(s.last_vacuum, s.last_autovacuum)::pg_catalog.text, 'pg_stat_user_tables')
  ) AS evidence,
  'dead rows are removed, and statistics are kept up, without anybody thinking of it' AS gain,
  ARRAY[
    pg_catalog.format(
      'ALTER %%s %%I.%%I RESET (autovacuum_enabled)',
      CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, n.nspname, c.relname
    )
  ] AS sql,
  ARRAY['whether a job vacuums it at a time of its own'] AS not_known,
  CASE WHEN s.vacuum_count > 0 THEN 'low' ELSE 'high' END AS confidence
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
CROSS JOIN LATERAL pg_catalog.unnest(c.reloptions) AS o (option)
LEFT JOIN pg_catalog.pg_stat_user_tables AS s ON c.oid = s.relid
WHERE
  c.relkind IN ('r', 'm')
  AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND pg_catalog.split_part(o.option, '=', 1) = 'autovacuum_enabled'
  AND NOT pg_catalog.split_part(o.option, '=', 2)::pg_catalog.bool
