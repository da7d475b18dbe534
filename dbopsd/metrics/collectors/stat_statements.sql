/*
about = "The costliest statements, and the rest together, from pg_stat_statements."
every_s = 10
until = 16
extension = "pg_stat_statements"
extension_version = "1.9"
privilege = "pg_read_all_stats"
timeout_s = 2
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
WITH statements AS (
  SELECT
    s.queryid,
    s.userid,
    s.dbid,
    pg_catalog.sum(s.calls) AS calls,
    pg_catalog.sum(s.total_exec_time) AS total_ms,
    pg_catalog.sum(s.rows) AS rows,
    pg_catalog.sum(s.shared_blks_hit) AS blocks_hit,
    pg_catalog.sum(s.shared_blks_read + s.local_blks_read) AS blocks_read,
    pg_catalog.sum(s.shared_blks_written + s.local_blks_written) AS blocks_written,
    pg_catalog.sum(s.temp_blks_read + s.temp_blks_written) AS temp_blocks,
    pg_catalog.sum(s.blk_read_time) AS read_ms,
    pg_catalog.sum(s.blk_write_time) AS write_ms,
    pg_catalog.sum(s.wal_bytes) AS wal_bytes
  -- Without texts: reading them costs ten times as much.
  FROM {schema}.pg_stat_statements(false) AS s
  -- One may be there twice: called by itself, and from within a function.
  GROUP BY s.queryid, s.userid, s.dbid
),

costliest AS (
  SELECT
    s.*,
    pg_catalog.row_number() OVER (ORDER BY s.total_ms DESC, s.queryid) <= %(top_statements)s AS is_top
  FROM statements AS s
)

SELECT
  CASE WHEN s.is_top THEN coalesce(r.rolname::pg_catalog.text, s.userid::pg_catalog.text) ELSE '(others)' END AS "user",
  CASE WHEN s.is_top THEN coalesce(d.datname::pg_catalog.text, s.dbid::pg_catalog.text) ELSE '(others)' END AS datname,
  CASE WHEN s.is_top THEN coalesce(s.queryid::pg_catalog.text, '') ELSE '(others)' END AS queryid,
  pg_catalog.sum(s.calls) AS calls_total,
  pg_catalog.sum(s.total_ms) / 1000 AS seconds_total,
  pg_catalog.sum(s.rows) AS rows_total,
  pg_catalog.sum(s.blocks_hit) AS blocks_hit_total,
  pg_catalog.sum(s.blocks_read) AS blocks_read_total,
  pg_catalog.sum(s.blocks_written) AS blocks_written_total,
  pg_catalog.sum(s.temp_blocks) AS temp_blocks_total,
  pg_catalog.sum(s.read_ms) / 1000 AS block_read_seconds_total,
  pg_catalog.sum(s.write_ms) / 1000 AS block_write_seconds_total,
  pg_catalog.sum(s.wal_bytes) AS wal_bytes_total
FROM costliest AS s
LEFT JOIN pg_catalog.pg_roles AS r ON s.userid = r.oid
LEFT JOIN pg_catalog.pg_database AS d ON s.dbid = d.oid
GROUP BY 1, 2, 3
