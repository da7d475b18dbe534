/*
about = "Bytes of the largest tables beyond what their rows need, estimated from the widths in pg_statistic."
every_s = 900
slow = true
timeout_s = 5
optional_privilege = "pg_read_all_data"
prefix = "pg_table_bloat_"
labels = ["datname", "schemaname", "relname"]

[metrics.pg_table_bloat_bytes]
unit = "By"
help = "Bytes beyond what the rows need, estimated. No sample for tables with columns without statistics."
*/
WITH largest AS (
  SELECT
    c.oid,
    n.nspname::pg_catalog.text AS schemaname,
    c.relname::pg_catalog.text AS relname,
    c.reltuples,
    c.relpages,
    coalesce((
      SELECT pg_catalog.split_part(o.option, '=', 2)::pg_catalog.int4
      FROM pg_catalog.unnest(c.reloptions) AS o (option)
      WHERE o.option LIKE 'fillfactor=%%'
    ), 100) AS fillfactor
  FROM pg_catalog.pg_class AS c
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  WHERE
    c.relkind IN ('r', 'm')
    AND c.reltuples > 0
    AND c.relpages > 128
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  ORDER BY c.relpages DESC
  LIMIT %(top_tables)s
),

widths AS (
  SELECT
    l.oid,
    pg_catalog.count(*) AS columns,
    pg_catalog.count(s.stawidth) AS known,
    pg_catalog.sum((1 - s.stanullfrac) * s.stawidth) AS row_bytes,
    pg_catalog.max(s.stanullfrac) AS nulls
  FROM largest AS l
  INNER JOIN pg_catalog.pg_attribute AS a ON l.oid = a.attrelid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_statistic AS s ON a.attrelid = s.starelid AND a.attnum = s.staattnum AND NOT s.stainherit
  GROUP BY l.oid
),

needed AS (
  SELECT
    l.schemaname,
    l.relname,
    l.relpages,
    -- A row has a head of 24 bytes, a null bitmap, a line pointer of 4, and ends at a multiple of 8.
    pg_catalog.ceil(
      l.reltuples
      / greatest(
        pg_catalog.floor(
          (pg_catalog.current_setting('block_size')::pg_catalog.int4 - 24) * l.fillfactor / 100.0
          / (
            4 + pg_catalog.ceil(
              (24 + CASE WHEN w.nulls > 0 THEN (w.columns + 7) / 8 ELSE 0 END + w.row_bytes) / 8.0
            ) * 8
          )
        ), 1
      )
    ) AS pages
  FROM largest AS l
  INNER JOIN widths AS w ON l.oid = w.oid
  -- Without the statistics of every column there is nothing to estimate from.
  WHERE w.known = w.columns
)

SELECT
  pg_catalog.current_database()::pg_catalog.text AS datname,
  e.schemaname,
  e.relname,
  greatest(e.relpages - e.pages, 0) * pg_catalog.current_setting('block_size')::pg_catalog.int8 AS bytes
FROM needed AS e
