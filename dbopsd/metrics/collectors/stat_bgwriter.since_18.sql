/*
about = "The background writer and checkpoints, under the names that pg_stat_bgwriter had up to PostgreSQL 16."
every_s = 10
prefix = "pg_stat_bgwriter_"

[metrics.pg_stat_bgwriter_checkpoints_timed_total]
type = "counter"
unit = "{checkpoint}"
help = "Checkpoints that were due: pg_stat_checkpointer_num_timed_total."

[metrics.pg_stat_bgwriter_checkpoints_req_total]
type = "counter"
unit = "{checkpoint}"
help = "Checkpoints that were requested, or forced by the amount of WAL: pg_stat_checkpointer_num_requested_total."

[metrics.pg_stat_bgwriter_checkpoint_write_time_total]
type = "counter"
unit = "ms"
help = "Time that checkpoints spent in writing files."

[metrics.pg_stat_bgwriter_checkpoint_sync_time_total]
type = "counter"
unit = "ms"
help = "Time that checkpoints spent in synchronising files."

[metrics.pg_stat_bgwriter_buffers_checkpoint_total]
type = "counter"
unit = "{buffer}"
help = "Buffers written by checkpoints: pg_stat_checkpointer_buffers_written_total."

[metrics.pg_stat_bgwriter_buffers_clean_total]
type = "counter"
unit = "{buffer}"
help = "Buffers written by the background writer."

[metrics.pg_stat_bgwriter_maxwritten_clean_total]
type = "counter"
unit = "{stop}"
help = "Times that the background writer stopped because it had written too many buffers."

[metrics.pg_stat_bgwriter_buffers_backend_total]
type = "counter"
unit = "{buffer}"
help = "Buffers written by backends, from pg_stat_io."

[metrics.pg_stat_bgwriter_buffers_backend_fsync_total]
type = "counter"
unit = "{call}"
help = "Times that a backend had to synchronise a file itself, from pg_stat_io."

[metrics.pg_stat_bgwriter_buffers_alloc_total]
type = "counter"
unit = "{buffer}"
help = "Buffers allocated."

[metrics.pg_stat_bgwriter_stats_reset_total]
type = "counter"
unit = "s"
help = "When the statistics were last reset, in seconds since 1970."
*/
-- Dashboards ask for these names on every version. What is no longer in pg_stat_bgwriter is read
-- from where it is now.
WITH backends AS (
  SELECT
    -- An operation may be of many blocks.
    pg_catalog.floor(
      pg_catalog.sum(coalesce(i.write_bytes, 0) + coalesce(i.extend_bytes, 0))
      / pg_catalog.current_setting('block_size')::pg_catalog.int8
    ) AS written,
    pg_catalog.sum(i.fsyncs) AS fsyncs
  FROM pg_catalog.pg_stat_io AS i
  WHERE i.object = 'relation' AND i.backend_type NOT IN ('background writer', 'checkpointer')
)

SELECT
  c.num_timed AS checkpoints_timed_total,
  c.num_requested AS checkpoints_req_total,
  c.write_time AS checkpoint_write_time_total,
  c.sync_time AS checkpoint_sync_time_total,
  c.buffers_written AS buffers_checkpoint_total,
  b.buffers_clean AS buffers_clean_total,
  b.maxwritten_clean AS maxwritten_clean_total,
  coalesce(k.written, 0) AS buffers_backend_total,
  coalesce(k.fsyncs, 0) AS buffers_backend_fsync_total,
  b.buffers_alloc AS buffers_alloc_total,
  coalesce(extract(EPOCH FROM b.stats_reset), 0) AS stats_reset_total
FROM pg_catalog.pg_stat_bgwriter AS b
CROSS JOIN pg_catalog.pg_stat_checkpointer AS c
CROSS JOIN backends AS k
