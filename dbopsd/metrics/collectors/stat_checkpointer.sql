/*
about = "Checkpoints, under the names of PostgreSQL 17, from pg_stat_bgwriter."
every_s = 10
until = 16
prefix = "pg_stat_checkpointer_"

[metrics.pg_stat_checkpointer_num_timed_total]
type = "counter"
unit = "{checkpoint}"
help = "Checkpoints that were due."

[metrics.pg_stat_checkpointer_num_requested_total]
type = "counter"
unit = "{checkpoint}"
help = "Checkpoints that were requested, or forced by the amount of WAL."

[metrics.pg_stat_checkpointer_write_time_total]
type = "counter"
unit = "ms"
help = "Time spent in writing files."

[metrics.pg_stat_checkpointer_sync_time_total]
type = "counter"
unit = "ms"
help = "Time spent in synchronising files."

[metrics.pg_stat_checkpointer_buffers_written_total]
type = "counter"
unit = "{buffer}"
help = "Buffers written by checkpoints."

[metrics.pg_stat_checkpointer_stats_reset_total]
type = "counter"
unit = "s"
help = "When the statistics were last reset, in seconds since 1970."
*/
SELECT
  b.checkpoints_timed AS num_timed_total,
  b.checkpoints_req AS num_requested_total,
  b.checkpoint_write_time AS write_time_total,
  b.checkpoint_sync_time AS sync_time_total,
  b.buffers_checkpoint AS buffers_written_total,
  coalesce(extract(EPOCH FROM b.stats_reset), 0) AS stats_reset_total
FROM pg_catalog.pg_stat_bgwriter AS b
