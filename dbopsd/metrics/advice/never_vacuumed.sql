/*
about = "Tables whose rows are changed, and that nobody has ever vacuumed."
kinds = ["never_vacuumed"]
risk = "VACUUM reads the table once; it stops no reader and no writer."
*/
SELECT
  pg_catalog.format('%%I.%%I', n.nspname, c.relname) AS object,
  pg_catalog.format('Vacuum %%I.%%I: %%s rows were changed, and it never was', n.nspname, c.relname, s.n_tup_upd + s.n_tup_del) AS title,
  CASE WHEN s.n_dead_tup > 0.2 * greatest(c.reltuples, 1) THEN 'warning' ELSE 'info' END AS severity,
  CASE WHEN s.n_dead_tup > 0.2 * greatest(c.reltuples, 1) THEN 'high' ELSE 'low' END AS confidence,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('changed_rows', (s.n_tup_upd + s.n_tup_del)::pg_catalog.text, 'pg_stat_user_tables, since the statistics were reset'),
    pg_catalog.jsonb_build_array('dead_rows', s.n_dead_tup::pg_catalog.text, 'pg_stat_user_tables'),
    pg_catalog.jsonb_build_array('statistics_reset', d.stats_reset::pg_catalog.text, 'pg_stat_database')
  ) AS evidence,
  'space of dead rows is used again, and index-only scans need not visit the table' AS gain,
  ARRAY[pg_catalog.format('VACUUM (ANALYZE) %%I.%%I', n.nspname, c.relname)] AS sql,
  ARRAY[
    CASE WHEN s.n_dead_tup <= 0.2 * greatest(c.reltuples, 1) THEN 'whether autovacuum is about to: few of its rows are dead' END
  ] AS not_known
FROM pg_catalog.pg_stat_user_tables AS s
INNER JOIN pg_catalog.pg_class AS c ON s.relid = c.oid
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
INNER JOIN pg_catalog.pg_stat_database AS d ON d.datname = pg_catalog.current_database()
WHERE
  s.n_tup_upd + s.n_tup_del > 1000
  AND s.vacuum_count + s.autovacuum_count = 0
  AND c.relkind IN ('r', 'm')
  AND c.relpersistence = 'p'
  -- Just after a reset nothing is known yet.
  AND coalesce(d.stats_reset < pg_catalog.now() - interval '1 day', true)
  -- It has advice of its own.
  AND NOT EXISTS (
    SELECT 1 FROM pg_catalog.unnest(c.reloptions) AS o (option) WHERE pg_catalog.split_part(o.option, '=', 1) = 'autovacuum_enabled'
  )
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_progress_vacuum AS p WHERE s.relid = p.relid)
