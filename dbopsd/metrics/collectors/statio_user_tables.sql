/*
about = "Blocks of the busiest tables of this database, and of the rest together, from pg_statio_user_tables."
every_s = 60
slow = true
timeout_s = 2
prefix = "pg_statio_user_tables_"
labels = ["datname", "schemaname", "relname"]

[metrics.pg_statio_user_tables_heap_blocks_read]
type = "counter"
unit = "{block}"
help = "Blocks of the table read."

[metrics.pg_statio_user_tables_heap_blocks_hit]
type = "counter"
unit = "{block}"
help = "Blocks of the table found in shared buffers."

[metrics.pg_statio_user_tables_idx_blocks_read]
type = "counter"
unit = "{block}"
help = "Blocks of its indexes read."

[metrics.pg_statio_user_tables_idx_blocks_hit]
type = "counter"
unit = "{block}"
help = "Blocks of its indexes found in shared buffers."

[metrics.pg_statio_user_tables_toast_blocks_read]
type = "counter"
unit = "{block}"
help = "Blocks of its TOAST table read."

[metrics.pg_statio_user_tables_toast_blocks_hit]
type = "counter"
unit = "{block}"
help = "Blocks of its TOAST table found in shared buffers."

[metrics.pg_statio_user_tables_tidx_blocks_read]
type = "counter"
unit = "{block}"
help = "Blocks of its TOAST table's index read."

[metrics.pg_statio_user_tables_tidx_blocks_hit]
type = "counter"
unit = "{block}"
help = "Blocks of its TOAST table's index found in shared buffers."
*/
WITH tables AS (
  SELECT
    t.*,
    pg_catalog.row_number() OVER (
      ORDER BY coalesce(t.heap_blks_read, 0) + coalesce(t.heap_blks_hit, 0) DESC, t.relid
    ) <= %(top_tables)s AS is_top
  FROM pg_catalog.pg_statio_user_tables AS t
)

SELECT
  pg_catalog.current_database()::pg_catalog.text AS datname,
  CASE WHEN t.is_top THEN t.schemaname::pg_catalog.text ELSE '(others)' END AS schemaname,
  CASE WHEN t.is_top THEN t.relname::pg_catalog.text ELSE '(others)' END AS relname,
  pg_catalog.sum(t.heap_blks_read) AS heap_blocks_read,
  pg_catalog.sum(t.heap_blks_hit) AS heap_blocks_hit,
  pg_catalog.sum(t.idx_blks_read) AS idx_blocks_read,
  pg_catalog.sum(t.idx_blks_hit) AS idx_blocks_hit,
  pg_catalog.sum(t.toast_blks_read) AS toast_blocks_read,
  pg_catalog.sum(t.toast_blks_hit) AS toast_blocks_hit,
  pg_catalog.sum(t.tidx_blks_read) AS tidx_blocks_read,
  pg_catalog.sum(t.tidx_blks_hit) AS tidx_blocks_hit
FROM tables AS t
GROUP BY 1, 2, 3
