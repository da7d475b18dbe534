/*
about = "Large B-tree indexes of which more than half is empty, estimated from the widths of their columns."
kinds = ["bloat_index"]
risk = "REINDEX CONCURRENTLY needs the space of a second index while it lasts, and leaves an invalid one if it fails."
needs = ["index_bloat_bytes"]
timeout_s = 10
*/
WITH largest AS (
  SELECT
    i.indexrelid,
    i.indrelid,
    i.indexprs IS NOT NULL OR i.indpred IS NOT NULL AS special,
    n.nspname,
    c.relname,
    c.reltuples,
    c.relpages,
    t.relname AS table_name,
    coalesce((
      SELECT pg_catalog.split_part(o.option, '=', 2)::pg_catalog.int4
      FROM pg_catalog.unnest(c.reloptions) AS o (option)
      WHERE o.option LIKE 'fillfactor=%%'
    ), 90) AS fillfactor,
    (i.indkey::pg_catalog.int2 []) AS columns
  FROM pg_catalog.pg_index AS i
  INNER JOIN pg_catalog.pg_class AS c ON i.indexrelid = c.oid
  INNER JOIN pg_catalog.pg_class AS t ON i.indrelid = t.oid
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  INNER JOIN pg_catalog.pg_am AS m ON c.relam = m.oid
  WHERE
    m.amname = 'btree'
    AND c.relkind = 'i'
    AND i.indisvalid
    AND c.reltuples >= 0
    AND c.relpages * pg_catalog.current_setting('block_size')::pg_catalog.int8 > %(index_bloat_bytes)s
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  ORDER BY c.relpages DESC
  LIMIT 100
),

widths AS (
  SELECT
    l.indexrelid,
    pg_catalog.count(*) AS columns,
    pg_catalog.count(s.avg_width) AS known,
    pg_catalog.sum((1 - s.null_frac) * s.avg_width) AS row_bytes,
    pg_catalog.max(s.null_frac) AS nulls
  FROM largest AS l
  CROSS JOIN LATERAL pg_catalog.unnest(l.columns) AS k (attnum)
  INNER JOIN pg_catalog.pg_attribute AS a ON l.indrelid = a.attrelid AND k.attnum = a.attnum
  LEFT JOIN pg_catalog.pg_stats AS s
    ON l.nspname = s.schemaname AND l.table_name = s.tablename AND a.attname = s.attname AND NOT s.inherited
  WHERE NOT l.special
  GROUP BY l.indexrelid
),

needed AS (
  SELECT
    l.*,
    w.columns AS width,
    w.known,
    -- An entry has a head of 8 bytes, a null bitmap, a line pointer of 4, and ends at a multiple of 8.
    1 + pg_catalog.ceil(
      l.reltuples
      / greatest(
        pg_catalog.floor(
          (pg_catalog.current_setting('block_size')::pg_catalog.int4 - 40) * l.fillfactor / 100.0
          / (4 + pg_catalog.ceil((8 + CASE WHEN w.nulls > 0 THEN 8 ELSE 0 END + w.row_bytes) / 8.0) * 8)
        ), 1
      )
    ) AS pages
  FROM largest AS l
  INNER JOIN widths AS w ON l.indexrelid = w.indexrelid
),

bloated AS (
  SELECT
    d.*,
    greatest(d.relpages - d.pages, 0)::pg_catalog.int8 * pg_catalog.current_setting('block_size')::pg_catalog.int8 AS bytes
  FROM needed AS d
  WHERE d.known = d.width AND d.relpages - d.pages > 0.5 * d.relpages
)

SELECT
  pg_catalog.format('%%I.%%I', b.nspname, b.relname) AS object,
  pg_catalog.format(
    'Rebuild %%I.%%I: about %%s of %%s is empty', b.nspname, b.relname, pg_catalog.pg_size_pretty(b.bytes),
    pg_catalog.pg_size_pretty(b.relpages * pg_catalog.current_setting('block_size')::pg_catalog.int8)
  ) AS title,
  'low' AS confidence,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('size', pg_catalog.pg_size_pretty(b.relpages * pg_catalog.current_setting('block_size')::pg_catalog.int8), 'pg_class.relpages'),
    pg_catalog.jsonb_build_array('entries', b.reltuples::pg_catalog.int8::pg_catalog.text, 'pg_class.reltuples'),
    pg_catalog.jsonb_build_array('needed', pg_catalog.pg_size_pretty(b.pages::pg_catalog.int8 * pg_catalog.current_setting('block_size')::pg_catalog.int8), 'estimate from pg_stats'),
    pg_catalog.jsonb_build_array('fillfactor', b.fillfactor::pg_catalog.text, 'pg_class.reloptions')
  ) AS evidence,
  pg_catalog.format('about %%s of disk and cache', pg_catalog.pg_size_pretty(b.bytes)) AS gain,
  ARRAY[pg_catalog.format('REINDEX INDEX CONCURRENTLY %%I.%%I', b.nspname, b.relname)] AS sql,
  ARRAY['the exact part: pgstatindex reads the index. Equal keys are stored once, so that it can be smaller than estimated']
    AS not_known,
  NULL AS gap
FROM bloated AS b
WHERE b.bytes > 0.5 * %(index_bloat_bytes)s
UNION ALL
SELECT
  NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  pg_catalog.format(
    '%%s large indexes, such as %%s, have columns without statistics that the role of the DSN may see: '
    || 'GRANT pg_read_all_data to it, or ANALYZE their tables',
    pg_catalog.count(*), pg_catalog.min(pg_catalog.format('%%I.%%I', d.nspname, d.relname))
  )
FROM needed AS d
WHERE d.known < d.width
HAVING pg_catalog.count(*) > 0
