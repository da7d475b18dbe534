/*
about = "The background writer, from pg_stat_bgwriter."
every_s = 10
prefix = "pg_stat_bgwriter_"

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
  b.buffers_clean AS buffers_clean_total,
  b.maxwritten_clean AS maxwritten_clean_total,
  b.buffers_alloc AS buffers_alloc_total,
  coalesce(extract(EPOCH FROM b.stats_reset), 0) AS stats_reset_total
FROM pg_catalog.pg_stat_bgwriter AS b
