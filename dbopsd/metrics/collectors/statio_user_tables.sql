/*
about = "Blocks of the busiest tables of this database, and of the rest together, from pg_statio_user_tables."
every_s = 60
slow = true
timeout_s = 2
spares_rest = true
top = "tables"
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
WITH tables AS MATERIALIZED (
  SELECT
    t.relid,
    t.schemaname::pg_catalog.text AS schemaname,
    t.relname::pg_catalog.text AS relname,
    coalesce(t.heap_blks_read, 0) + coalesce(t.heap_blks_hit, 0) AS activity,
    t.heap_blks_read AS heap_blocks_read,
    t.heap_blks_hit AS heap_blocks_hit,
    t.idx_blks_read AS idx_blocks_read,
    t.idx_blks_hit AS idx_blocks_hit,
    t.toast_blks_read AS toast_blocks_read,
    t.toast_blks_hit AS toast_blocks_hit,
    t.tidx_blks_read AS tidx_blocks_read,
    t.tidx_blks_hit AS tidx_blocks_hit
  FROM pg_catalog.pg_statio_user_tables AS t
  WHERE %(all)s OR t.relid = ANY(%(members)s::pg_catalog.oid[])
),

shown AS (
  SELECT t.relid
  FROM tables AS t
  WHERE t.relid = ANY(%(members)s::pg_catalog.oid[])
  UNION
  (
    SELECT t.relid
    FROM tables AS t
    ORDER BY t.activity DESC, t.relid
    LIMIT %(top)s
  )
)

SELECT
  t.relid::pg_catalog.text AS top_key,
  t.activity,
  pg_catalog.current_database()::pg_catalog.text AS datname,
  t.schemaname AS schemaname,
  t.relname AS relname,
  t.heap_blocks_read,
  t.heap_blocks_hit,
  t.idx_blocks_read,
  t.idx_blocks_hit,
  t.toast_blocks_read,
  t.toast_blocks_hit,
  t.tidx_blocks_read,
  t.tidx_blocks_hit
FROM tables AS t
INNER JOIN shown AS s ON t.relid = s.relid
UNION ALL
SELECT
  NULL,
  pg_catalog.count(*),
  pg_catalog.current_database()::pg_catalog.text,
  '(others)',
  '(others)',
  coalesce(pg_catalog.sum(t.heap_blocks_read), 0),
  coalesce(pg_catalog.sum(t.heap_blocks_hit), 0),
  coalesce(pg_catalog.sum(t.idx_blocks_read), 0),
  coalesce(pg_catalog.sum(t.idx_blocks_hit), 0),
  coalesce(pg_catalog.sum(t.toast_blocks_read), 0),
  coalesce(pg_catalog.sum(t.toast_blocks_hit), 0),
  coalesce(pg_catalog.sum(t.tidx_blocks_read), 0),
  coalesce(pg_catalog.sum(t.tidx_blocks_hit), 0)
FROM tables AS t
WHERE t.relid <> ALL(%(members)s::pg_catalog.oid[])
