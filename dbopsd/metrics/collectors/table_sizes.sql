/*
about = "True sizes of the largest tables and their indexes, a slice of them at a time; those of the rest as estimated by relpages."
every_s = 300
slow = true
timeout_s = 2
slice_rows = 100
duplicates = "last"
prefix = "pg_stat_user_tables_"
labels = ["datname", "schemaname", "relname"]

[metrics.pg_stat_user_tables_table_size_bytes]
unit = "By"
help = "Bytes of a table, with its TOAST table and maps. No sample while it is locked exclusively."

[metrics.pg_stat_user_tables_index_size_bytes]
unit = "By"
help = "Bytes of all indexes of a table. No sample while it is locked exclusively."
*/
WITH
-- Opening a table to see its size fills the session's cache: not for each of thousands.
ranked AS (
  SELECT
    c.oid,
    c.relname::pg_catalog.text AS relname,
    n.nspname::pg_catalog.text AS schemaname,
    c.relpages + coalesce(t.relpages, 0) AS table_pages,
    pg_catalog.row_number() OVER (ORDER BY c.relpages + coalesce(t.relpages, 0) DESC, c.oid) AS place
  FROM pg_catalog.pg_class AS c
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  LEFT JOIN pg_catalog.pg_class AS t ON c.reltoastrelid = t.oid AND t.relkind = 't'
  WHERE
    c.relkind IN ('r', 'm')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND n.nspname !~ '^pg_temp_'
),

-- Waiting for one of them would cost the sizes of all others.
locked AS (
  SELECT DISTINCT coalesce(i.indrelid, l.relation) AS relid
  FROM pg_catalog.pg_locks AS l
  LEFT JOIN pg_catalog.pg_index AS i ON l.relation = i.indexrelid
  WHERE
    l.mode = 'AccessExclusiveLock'
    AND l.granted
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
),

rest AS (
  SELECT pg_catalog.sum(r.table_pages) AS table_pages
  FROM ranked AS r
  WHERE r.place > %(top_tables)s
)

SELECT
  0::pg_catalog.int8 AS slice_key,
  pg_catalog.current_database()::pg_catalog.text AS datname,
  '(others)' AS schemaname,
  '(others)' AS relname,
  NULL::pg_catalog.text AS unknown,
  r.table_pages * pg_catalog.current_setting('block_size')::pg_catalog.int8 AS table_size_bytes,
  NULL::pg_catalog.int8 AS index_size_bytes
FROM rest AS r
WHERE %(after)s = 0 AND r.table_pages IS NOT NULL
UNION ALL
(
  SELECT
    s.place,
    pg_catalog.current_database()::pg_catalog.text,
    s.schemaname,
    s.relname,
    CASE WHEN l.relid IS NOT NULL THEN pg_catalog.format('%%I.%%I is locked', s.schemaname, s.relname) END,
    CASE WHEN l.relid IS NULL THEN pg_catalog.pg_table_size(s.oid) END,
    CASE WHEN l.relid IS NULL THEN pg_catalog.pg_indexes_size(s.oid) END
  FROM ranked AS s
  LEFT JOIN locked AS l ON s.oid = l.relid
  WHERE s.place > %(after)s AND s.place <= least(%(after)s + %(slice_rows)s, %(top_tables)s)
  ORDER BY s.place
)
