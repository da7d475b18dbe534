/*
about = "Use of the busiest indexes of this database, and of the rest together."
every_s = 60
slow = true
timeout_s = 2
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
WITH indexes AS (
  SELECT
    n.nspname::pg_catalog.text AS schemaname,
    t.relname::pg_catalog.text AS relname,
    i.relname::pg_catalog.text AS indexrelname,
    pg_catalog.pg_stat_get_numscans(x.indexrelid) AS idx_scan,
    pg_catalog.pg_stat_get_tuples_returned(x.indexrelid) AS idx_tup_read,
    pg_catalog.pg_stat_get_tuples_fetched(x.indexrelid) AS idx_tup_fetch,
    i.relpages::pg_catalog.int8 * pg_catalog.current_setting('block_size')::pg_catalog.int8 AS estimated_size_bytes,
    pg_catalog.row_number() OVER (
      ORDER BY pg_catalog.pg_stat_get_numscans(x.indexrelid) DESC, x.indexrelid
    ) <= %(top_indexes)s AS is_top
  FROM pg_catalog.pg_index AS x
  INNER JOIN pg_catalog.pg_class AS i ON x.indexrelid = i.oid
  INNER JOIN pg_catalog.pg_class AS t ON x.indrelid = t.oid
  INNER JOIN pg_catalog.pg_namespace AS n ON t.relnamespace = n.oid
  WHERE
    i.relkind = 'i'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    AND n.nspname !~ '^pg_temp_'
)

SELECT
  pg_catalog.current_database()::pg_catalog.text AS datname,
  CASE WHEN x.is_top THEN x.schemaname ELSE '(others)' END AS schemaname,
  CASE WHEN x.is_top THEN x.relname ELSE '(others)' END AS relname,
  CASE WHEN x.is_top THEN x.indexrelname ELSE '(others)' END AS indexrelname,
  pg_catalog.sum(x.idx_scan) AS idx_scan_total,
  pg_catalog.sum(x.idx_tup_read) AS idx_tup_read_total,
  pg_catalog.sum(x.idx_tup_fetch) AS idx_tup_fetch_total,
  pg_catalog.sum(x.estimated_size_bytes) AS estimated_size_bytes
FROM indexes AS x
GROUP BY 1, 2, 3, 4
