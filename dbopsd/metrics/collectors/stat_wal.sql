/*
about = "WAL written, from pg_stat_wal."
every_s = 10
prefix = "pg_stat_wal_"

[metrics.pg_stat_wal_records_total]
type = "counter"
unit = "{record}"
help = "WAL records."

[metrics.pg_stat_wal_full_page_images_total]
type = "counter"
unit = "{page}"
help = "Full page images in the WAL."

[metrics.pg_stat_wal_bytes_total]
type = "counter"
unit = "By"
help = "Bytes of WAL."

[metrics.pg_stat_wal_buffers_full_total]
type = "counter"
unit = "{write}"
help = "Times that WAL was written because its buffers were full."
*/
SELECT
  w.wal_records AS records_total,
  w.wal_fpi AS full_page_images_total,
  w.wal_bytes AS bytes_total,
  w.wal_buffers_full AS buffers_full_total
FROM pg_catalog.pg_stat_wal AS w
