/*
about = "Large tables that are read from end to end, again and again."
kinds = ["seq_scans"]
needs = ["use", "window_hours", "scanned_table_bytes"]
*/
WITH records AS MATERIALIZED (
  -- Looking up each object in the JSON would copy all of it each time.
  SELECT e.key::pg_catalog.oid AS oid, e.value AS record
  FROM pg_catalog.jsonb_each(%(use)s::pg_catalog.jsonb -> 'tables') AS e
),

tables AS (
  SELECT
    c.oid,
    n.nspname,
    c.relname,
    c.reltuples,
    c.relpages * pg_catalog.current_setting('block_size')::pg_catalog.int8 AS bytes,
    s.seq_scan - (u.record ->> 'scans')::pg_catalog.int8 AS scans,
    s.seq_tup_read - (u.record ->> 'read')::pg_catalog.int8 AS rows_read,
    (u.record ->> 'age_s')::pg_catalog.numeric AS age_s
  FROM pg_catalog.pg_stat_user_tables AS s
  INNER JOIN pg_catalog.pg_class AS c ON s.relid = c.oid
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  LEFT JOIN records AS u ON c.oid = u.oid
  WHERE c.relkind IN ('r', 'm') AND u.record IS NOT NULL
)

SELECT
  pg_catalog.format('%%I.%%I', t.nspname, t.relname) AS object,
  pg_catalog.format(
    'Look at the statements that read %%I.%%I: %%s scans of it all in %%s h', t.nspname, t.relname, t.scans, pg_catalog.round(t.age_s / 3600)
  ) AS title,
  'low' AS confidence,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('scans', t.scans::pg_catalog.text, pg_catalog.format('pg_stat_user_tables, growth of the last %%s h', pg_catalog.round(t.age_s / 3600))),
    pg_catalog.jsonb_build_array(
      'rows_a_scan', pg_catalog.round(t.rows_read / t.scans)::pg_catalog.text,
      pg_catalog.format('pg_stat_user_tables, growth of the last %%s h', pg_catalog.round(t.age_s / 3600))
    ),
    pg_catalog.jsonb_build_array('rows', t.reltuples::pg_catalog.int8::pg_catalog.text, 'pg_class.reltuples'),
    pg_catalog.jsonb_build_array('size', pg_catalog.pg_size_pretty(t.bytes), 'pg_class.relpages')
  ) AS evidence,
  'with a fitting index a statement reads the rows that it wants' AS gain,
  'An index costs space, and time at each write.' AS risk,
  '{}'::pg_catalog.text [] AS sql,
  ARRAY[
    'which statements: dbops statements list --order io, and dbops statements explain',
    'whether backups by pg_dump or reports read it, which need every row'
  ] AS not_known
FROM tables AS t
WHERE
  t.age_s >= 3600 * %(window_hours)s
  AND t.scans >= 100
  AND t.reltuples >= 10000
  AND t.bytes >= %(scanned_table_bytes)s
  AND t.rows_read / t.scans >= 0.5 * t.reltuples
