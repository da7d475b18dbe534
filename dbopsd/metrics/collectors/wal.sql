/*
about = "Files in pg_wal, from pg_ls_waldir()."
every_s = 30
privilege = "pg_monitor"
prefix = "pg_wal_"

[metrics.pg_wal_segments]
unit = "{file}"
help = "WAL files."

[metrics.pg_wal_size_bytes]
unit = "By"
help = "Bytes of WAL files."

[metrics.pg_wal_oldest_age_seconds]
unit = "s"
help = "Age of the oldest WAL file."
*/
SELECT
  pg_catalog.count(*) AS segments,
  coalesce(pg_catalog.sum(f.size), 0) AS size_bytes,
  extract(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.min(f.modification)) AS oldest_age_seconds
FROM pg_catalog.pg_ls_waldir() AS f
WHERE f.name ~ '^[0-9A-F]{24}$'
