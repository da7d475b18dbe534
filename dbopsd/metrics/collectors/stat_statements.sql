/*
about = "The costliest statements, and the rest together, from pg_stat_statements."
every_s = 10
until = 16
extension = "pg_stat_statements"
extension_version = "1.9"
full_privilege = "pg_read_all_stats"
timeout_s = 2
top = "statements"
prefix = "pg_stat_statements_"
labels = ["user", "datname", "queryid"]

[metrics.pg_stat_statements_calls_total]
type = "counter"
unit = "{call}"
help = "Executions."

[metrics.pg_stat_statements_seconds_total]
type = "counter"
unit = "s"
help = "Time spent in executing."

[metrics.pg_stat_statements_rows_total]
type = "counter"
unit = "{row}"
help = "Rows returned or touched."

[metrics.pg_stat_statements_blocks_hit_total]
type = "counter"
unit = "{block}"
help = "Shared blocks found in the cache."

[metrics.pg_stat_statements_blocks_read_total]
type = "counter"
unit = "{block}"
help = "Shared and local blocks read."

[metrics.pg_stat_statements_blocks_written_total]
type = "counter"
unit = "{block}"
help = "Shared and local blocks written."

[metrics.pg_stat_statements_temp_blocks_total]
type = "counter"
unit = "{block}"
help = "Temporary blocks read and written."

[metrics.pg_stat_statements_block_read_seconds_total]
type = "counter"
unit = "s"
help = "Time spent in reading blocks. 0 if track_io_timing is off."

[metrics.pg_stat_statements_block_write_seconds_total]
type = "counter"
unit = "s"
help = "Time spent in writing blocks. 0 if track_io_timing is off."

[metrics.pg_stat_statements_wal_bytes_total]
type = "counter"
unit = "By"
help = "Bytes of WAL."
*/
WITH statements AS MATERIALIZED (
  SELECT
    s.queryid,
    s.userid,
    s.dbid,
    pg_catalog.concat_ws(' ', s.userid, s.dbid, s.queryid) AS statement,
    pg_catalog.sum(s.total_exec_time) AS activity,
    pg_catalog.sum(s.calls) AS calls_total,
    pg_catalog.sum(s.total_exec_time) / 1000 AS seconds_total,
    pg_catalog.sum(s.rows) AS rows_total,
    pg_catalog.sum(s.shared_blks_hit) AS blocks_hit_total,
    pg_catalog.sum(s.shared_blks_read + s.local_blks_read) AS blocks_read_total,
    pg_catalog.sum(s.shared_blks_written + s.local_blks_written) AS blocks_written_total,
    pg_catalog.sum(s.temp_blks_read + s.temp_blks_written) AS temp_blocks_total,
    pg_catalog.sum(s.blk_read_time) / 1000 AS block_read_seconds_total,
    pg_catalog.sum(s.blk_write_time) / 1000 AS block_write_seconds_total,
    pg_catalog.sum(s.wal_bytes) AS wal_bytes_total
  -- Without texts: reading them costs ten times as much.
  FROM {schema}.pg_stat_statements(false) AS s
  -- One may be there twice: called by itself, and from within a function.
  GROUP BY s.queryid, s.userid, s.dbid
),

shown AS (
  SELECT q.statement
  FROM statements AS q
  WHERE q.statement = ANY(%(members)s::pg_catalog.text[])
  UNION
  (
    SELECT q.statement
    FROM statements AS q
    ORDER BY q.activity DESC, q.statement
    LIMIT %(top)s
  )
)

SELECT
  q.statement AS top_key,
  q.activity,
  coalesce(r.rolname::pg_catalog.text, q.userid::pg_catalog.text) AS "user",
  coalesce(d.datname::pg_catalog.text, q.dbid::pg_catalog.text) AS datname,
  coalesce(q.queryid::pg_catalog.text, '') AS queryid,
  q.calls_total,
  q.seconds_total,
  q.rows_total,
  q.blocks_hit_total,
  q.blocks_read_total,
  q.blocks_written_total,
  q.temp_blocks_total,
  q.block_read_seconds_total,
  q.block_write_seconds_total,
  q.wal_bytes_total
FROM statements AS q
INNER JOIN shown AS s ON q.statement = s.statement
LEFT JOIN pg_catalog.pg_roles AS r ON q.userid = r.oid
LEFT JOIN pg_catalog.pg_database AS d ON q.dbid = d.oid
UNION ALL
SELECT
  NULL,
  pg_catalog.count(*),
  '(others)',
  '(others)',
  '(others)',
  coalesce(pg_catalog.sum(q.calls_total), 0),
  coalesce(pg_catalog.sum(q.seconds_total), 0),
  coalesce(pg_catalog.sum(q.rows_total), 0),
  coalesce(pg_catalog.sum(q.blocks_hit_total), 0),
  coalesce(pg_catalog.sum(q.blocks_read_total), 0),
  coalesce(pg_catalog.sum(q.blocks_written_total), 0),
  coalesce(pg_catalog.sum(q.temp_blocks_total), 0),
  coalesce(pg_catalog.sum(q.block_read_seconds_total), 0),
  coalesce(pg_catalog.sum(q.block_write_seconds_total), 0),
  coalesce(pg_catalog.sum(q.wal_bytes_total), 0)
FROM statements AS q
WHERE q.statement <> ALL(%(members)s::pg_catalog.text[])
