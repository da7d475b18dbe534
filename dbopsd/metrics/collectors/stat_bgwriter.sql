/*
about = "The background writer and checkpoints, from pg_stat_bgwriter."
every_s = 10
until = 16
prefix = "pg_stat_bgwriter_"

[metrics.pg_stat_bgwriter_checkpoints_timed_total]
type = "counter"
unit = "{checkpoint}"
help = "Checkpoints that were due."

[metrics.pg_stat_bgwriter_checkpoints_req_total]
type = "counter"
unit = "{checkpoint}"
help = "Checkpoints that were requested, or forced by the amount of WAL."

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
help = "Buffers written by checkpoints."

[metrics.pg_stat_bgwriter_buffers_backend_total]
type = "counter"
unit = "{buffer}"
help = "Buffers written by backends."

[metrics.pg_stat_bgwriter_buffers_backend_fsync_total]
type = "counter"
unit = "{call}"
help = "Times that a backend had to synchronise a file itself."

[metrics.pg_stat_bgwriter_buffers_clean_total]
type = "counter"
unit = "{buffer}"
help = "Buffers written by the background writer."

[metrics.pg_stat_bgwriter_maxwritten_clean_total]
type = "counter"
unit = "{stop}"
help = "Times that the background writer stopped because it had written too many buffers."

[metrics.pg_stat_bgwriter_buffers_alloc_total]
type = "counter"
unit = "{buffer}"
help = "Buffers allocated."

[metrics.pg_stat_bgwriter_stats_reset_total]
type = "counter"
unit = "s"
help = "When the statistics were last reset, in seconds since 1970."
*/
SELECT
  b.checkpoints_timed AS checkpoints_timed_total,
  b.checkpoints_req AS checkpoints_req_total,
  b.checkpoint_write_time AS checkpoint_write_time_total,
  b.checkpoint_sync_time AS checkpoint_sync_time_total,
  b.buffers_checkpoint AS buffers_checkpoint_total,
  b.buffers_backend AS buffers_backend_total,
  b.buffers_backend_fsync AS buffers_backend_fsync_total,
  b.buffers_clean AS buffers_clean_total,
  b.maxwritten_clean AS maxwritten_clean_total,
  b.buffers_alloc AS buffers_alloc_total,
  coalesce(extract(EPOCH FROM b.stats_reset), 0) AS stats_reset_total
FROM pg_catalog.pg_stat_bgwriter AS b
