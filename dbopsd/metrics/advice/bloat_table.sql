/*
about = "Large tables of which more than half is empty, estimated from the widths of their columns."
kinds = ["bloat_table"]
risk = "VACUUM FULL holds an ACCESS EXCLUSIVE lock while it writes the table and its indexes anew, and needs the space of both; pg_repack does it with short locks."
needs = ["table_bloat_bytes"]
timeout_s = 10
*/
WITH largest AS (
  SELECT
    c.oid,
    n.nspname,
    c.relname,
    c.reltuples,
    c.relpages,
    c.reltoastrelid,
    (SELECT t.relpages FROM pg_catalog.pg_class AS t WHERE t.oid = c.reltoastrelid) AS toast_pages,
    coalesce((
      SELECT pg_catalog.split_part(o.option, '=', 2)::pg_catalog.int4
      FROM pg_catalog.unnest(c.reloptions) AS o (option)
      WHERE o.option LIKE 'fillfactor=%%'
    ), 100) AS fillfactor
  FROM pg_catalog.pg_class AS c
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  WHERE
    c.relkind IN ('r', 'm')
    AND c.reltuples >= 0
    AND c.relpages * pg_catalog.current_setting('block_size')::pg_catalog.int8 > %(table_bloat_bytes)s
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  ORDER BY c.relpages DESC
  LIMIT 100
),

widths AS (
  SELECT
    l.oid,
    pg_catalog.count(*) AS columns,
    pg_catalog.count(s.avg_width) AS known,
    pg_catalog.sum((1 - s.null_frac) * s.avg_width) AS row_bytes,
    pg_catalog.max(s.null_frac) AS nulls
  FROM largest AS l
  INNER JOIN pg_catalog.pg_attribute AS a ON l.oid = a.attrelid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_stats AS s
    ON l.nspname = s.schemaname AND l.relname = s.tablename AND a.attname = s.attname AND NOT s.inherited
  GROUP BY l.oid
),

needed AS (
  SELECT
    l.*,
    w.columns,
    w.known,
    -- A row has a head of 24 bytes, a null bitmap, a line pointer of 4, and ends at a multiple of 8.
    pg_catalog.ceil(
      l.reltuples
      / greatest(
        pg_catalog.floor(
          (pg_catalog.current_setting('block_size')::pg_catalog.int4 - 24) * l.fillfactor / 100.0
          / (4 + pg_catalog.ceil((24 + CASE WHEN w.nulls > 0 THEN (w.columns + 7) / 8 ELSE 0 END + w.row_bytes) / 8.0) * 8)
        ), 1
      )
    ) AS pages
  FROM largest AS l
  INNER JOIN widths AS w ON l.oid = w.oid
),

bloated AS (
  SELECT
    d.*,
    greatest(d.relpages - d.pages, 0)::pg_catalog.int8 * pg_catalog.current_setting('block_size')::pg_catalog.int8 AS bytes
  FROM needed AS d
  WHERE
    d.known = d.columns
    AND d.relpages - d.pages > 0.5 * d.relpages
)

SELECT
  pg_catalog.format('%%I.%%I', b.nspname, b.relname) AS object,
  pg_catalog.format(
    'Rewrite %%I.%%I: about %%s of %%s is empty', b.nspname, b.relname, pg_catalog.pg_size_pretty(b.bytes),
    pg_catalog.pg_size_pretty(b.relpages * pg_catalog.current_setting('block_size')::pg_catalog.int8)
  ) AS title,
  'low' AS confidence,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('size', pg_catalog.pg_size_pretty(b.relpages * pg_catalog.current_setting('block_size')::pg_catalog.int8), 'pg_class.relpages'),
    pg_catalog.jsonb_build_array('rows', b.reltuples::pg_catalog.int8::pg_catalog.text, 'pg_class.reltuples'),
    pg_catalog.jsonb_build_array('needed', pg_catalog.pg_size_pretty(b.pages::pg_catalog.int8 * pg_catalog.current_setting('block_size')::pg_catalog.int8), 'estimate from pg_stats'),
    pg_catalog.jsonb_build_array('fillfactor', b.fillfactor::pg_catalog.text, 'pg_class.reloptions')
  ) AS evidence,
  pg_catalog.format('about %%s of disk and cache', pg_catalog.pg_size_pretty(b.bytes)) AS gain,
  ARRAY[pg_catalog.format('VACUUM (FULL, ANALYZE) %%I.%%I', b.nspname, b.relname)] AS sql,
  ARRAY[
    pg_catalog.format('the exact part: SELECT * FROM pgstattuple_approx(%%L) reads the table', pg_catalog.format('%%I.%%I', b.nspname, b.relname)),
    CASE WHEN b.toast_pages > 0 THEN 'how wide the values are that are stored outside of the rows (TOAST)' END
  ] AS not_known,
  NULL AS gap
FROM bloated AS b
WHERE b.bytes > %(table_bloat_bytes)s
UNION ALL
SELECT
  NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  pg_catalog.format(
    '%%s large tables, such as %%s, have columns without statistics that the role of the DSN may see: '
    || 'GRANT pg_read_all_data to it, or ANALYZE them',
    pg_catalog.count(*), pg_catalog.min(pg_catalog.format('%%I.%%I', d.nspname, d.relname))
  )
FROM needed AS d
WHERE d.known < d.columns
HAVING pg_catalog.count(*) > 0
