/*
about = "Reads, writes and hits by kind of process and object, from pg_stat_io."
every_s = 30
prefix = "pg_stat_io_"
labels = ["backend_type", "object", "context"]

[metrics.pg_stat_io_reads_total]
type = "counter"
unit = "{read}"
help = "Reads."

[metrics.pg_stat_io_read_bytes_total]
type = "counter"
unit = "By"
help = "Bytes read."

[metrics.pg_stat_io_read_seconds_total]
type = "counter"
unit = "s"
help = "Time spent in reading. 0 if track_io_timing is off."

[metrics.pg_stat_io_writes_total]
type = "counter"
unit = "{write}"
help = "Writes."

[metrics.pg_stat_io_write_bytes_total]
type = "counter"
unit = "By"
help = "Bytes written."

[metrics.pg_stat_io_write_seconds_total]
type = "counter"
unit = "s"
help = "Time spent in writing. 0 if track_io_timing is off."

[metrics.pg_stat_io_extends_total]
type = "counter"
unit = "{extend}"
help = "Extensions of relations."

[metrics.pg_stat_io_hits_total]
type = "counter"
unit = "{hit}"
help = "Blocks found in shared buffers."

[metrics.pg_stat_io_evictions_total]
type = "counter"
unit = "{buffer}"
help = "Buffers evicted."

[metrics.pg_stat_io_fsyncs_total]
type = "counter"
unit = "{call}"
help = "Files synchronised."
*/
SELECT
  i.backend_type,
  i.object,
  i.context,
  pg_catalog.sum(i.reads) AS reads_total,
  pg_catalog.sum(i.read_bytes) AS read_bytes_total,
  pg_catalog.sum(i.read_time) / 1000 AS read_seconds_total,
  pg_catalog.sum(i.writes) AS writes_total,
  pg_catalog.sum(i.write_bytes) AS write_bytes_total,
  pg_catalog.sum(i.write_time) / 1000 AS write_seconds_total,
  pg_catalog.sum(i.extends) AS extends_total,
  pg_catalog.sum(i.hits) AS hits_total,
  pg_catalog.sum(i.evictions) AS evictions_total,
  pg_catalog.sum(i.fsyncs) AS fsyncs_total
FROM pg_catalog.pg_stat_io AS i
WHERE coalesce(i.reads, 0) + coalesce(i.writes, 0) + coalesce(i.extends, 0) + coalesce(i.hits, 0) + coalesce(i.fsyncs, 0) > 0
GROUP BY i.backend_type, i.object, i.context
