/*
about = "Use of the busiest indexes of this database, and of the rest together."
every_s = 60
slow = true
timeout_s = 2
spares_rest = true
top = "indexes"
prefix = "pg_stat_user_indexes_"
labels = ["datname", "schemaname", "relname", "indexrelname"]

[metrics.pg_stat_user_indexes_idx_scan_total]
type = "counter"
unit = "{scan}"
help = "Scans of the index."

[metrics.pg_stat_user_indexes_idx_tup_read_total]
type = "counter"
unit = "{entry}"
help = "Index entries returned by scans."

[metrics.pg_stat_user_indexes_idx_tup_fetch_total]
type = "counter"
unit = "{row}"
help = "Live rows fetched by scans of the index."

[metrics.pg_stat_user_indexes_estimated_size_bytes]
unit = "By"
help = "Bytes of the index at its last VACUUM or ANALYZE (relpages)."
*/
WITH indexes AS MATERIALIZED (
  SELECT
    x.indexrelid,
    n.nspname::pg_catalog.text AS schemaname,
    t.relname::pg_catalog.text AS relname,
    i.relname::pg_catalog.text AS indexrelname,
    pg_catalog.pg_stat_get_numscans(x.indexrelid) AS activity,
    pg_catalog.pg_stat_get_numscans(x.indexrelid) AS idx_scan_total,
    pg_catalog.pg_stat_get_tuples_returned(x.indexrelid) AS idx_tup_read_total,
    pg_catalog.pg_stat_get_tuples_fetched(x.indexrelid) AS idx_tup_fetch_total,
    i.relpages::pg_catalog.int8 * pg_catalog.current_setting('block_size')::pg_catalog.int8 AS estimated_size_bytes
  FROM pg_catalog.pg_index AS x
  INNER JOIN pg_catalog.pg_class AS i ON x.indexrelid = i.oid
  INNER JOIN pg_catalog.pg_class AS t ON x.indrelid = t.oid
  INNER JOIN pg_catalog.pg_namespace AS n ON t.relnamespace = n.oid
  WHERE
    i.relkind = 'i'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    AND n.nspname !~ '^pg_temp_'
    AND (%(all)s OR x.indexrelid = ANY(%(members)s::pg_catalog.oid[]))
),

shown AS (
  SELECT x.indexrelid
  FROM indexes AS x
  WHERE x.indexrelid = ANY(%(members)s::pg_catalog.oid[])
  UNION
  (
    SELECT x.indexrelid
    FROM indexes AS x
    ORDER BY x.activity DESC, x.indexrelid
    LIMIT %(top)s
  )
)

SELECT
  x.indexrelid::pg_catalog.text AS top_key,
  x.activity,
  pg_catalog.current_database()::pg_catalog.text AS datname,
  x.schemaname AS schemaname,
  x.relname AS relname,
  x.indexrelname AS indexrelname,
  x.idx_scan_total,
  x.idx_tup_read_total,
  x.idx_tup_fetch_total,
  x.estimated_size_bytes
FROM indexes AS x
INNER JOIN shown AS s ON x.indexrelid = s.indexrelid
UNION ALL
SELECT
  NULL,
  pg_catalog.count(*),
  pg_catalog.current_database()::pg_catalog.text,
  '(others)',
  '(others)',
  '(others)',
  coalesce(pg_catalog.sum(x.idx_scan_total), 0),
  coalesce(pg_catalog.sum(x.idx_tup_read_total), 0),
  coalesce(pg_catalog.sum(x.idx_tup_fetch_total), 0),
  coalesce(pg_catalog.sum(x.estimated_size_bytes), 0)
FROM indexes AS x
WHERE x.indexrelid <> ALL(%(members)s::pg_catalog.oid[])
