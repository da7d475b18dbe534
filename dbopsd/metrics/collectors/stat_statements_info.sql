/*
about = "What pg_stat_statements says of itself."
every_s = 30
extension = "pg_stat_statements"
extension_version = "1.9"
prefix = "pg_stat_statements_"

[metrics.pg_stat_statements_dropped_total]
type = "counter"
unit = "{round}"
help = "Times that the least-used statements were dropped because there were more than pg_stat_statements.max."

[metrics.pg_stat_statements_stats_reset]
unit = "s"
help = "When its statistics were last reset, in seconds since 1970."
*/
SELECT
  i.dealloc AS dropped_total,
  coalesce(extract(EPOCH FROM i.stats_reset), 0) AS stats_reset
FROM {schema}.pg_stat_statements_info AS i
