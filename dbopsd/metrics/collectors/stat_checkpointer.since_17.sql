/*
about = "Checkpoints and restart points, from pg_stat_checkpointer."
every_s = 10
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

[metrics.pg_stat_checkpointer_restartpoints_timed_total]
type = "counter"
unit = "{restartpoint}"
help = "Restart points that were due."

[metrics.pg_stat_checkpointer_restartpoints_req_total]
type = "counter"
unit = "{restartpoint}"
help = "Restart points that were requested."

[metrics.pg_stat_checkpointer_restartpoints_done_total]
type = "counter"
unit = "{restartpoint}"
help = "Restart points that were made."
*/
SELECT
  c.num_timed AS num_timed_total,
  c.num_requested AS num_requested_total,
  c.restartpoints_timed AS restartpoints_timed_total,
  c.restartpoints_req AS restartpoints_req_total,
  c.restartpoints_done AS restartpoints_done_total,
  c.write_time AS write_time_total,
  c.sync_time AS sync_time_total,
  c.buffers_written AS buffers_written_total,
  coalesce(extract(EPOCH FROM c.stats_reset), 0) AS stats_reset_total
FROM pg_catalog.pg_stat_checkpointer AS c
