/*
about = "Prepared transactions, from pg_prepared_xacts."
every_s = 30
prefix = "pg_prepared_xacts_"

[metrics.pg_prepared_xacts_count]
unit = "{transaction}"
help = "Prepared transactions that are neither committed nor rolled back."

[metrics.pg_prepared_xacts_oldest_age_seconds]
unit = "s"
help = "Age of the oldest one. 0 if there is none."
*/
SELECT
  pg_catalog.count(*) AS count,
  coalesce(pg_catalog.max(greatest(extract(EPOCH FROM pg_catalog.clock_timestamp() - p.prepared), 0)), 0) AS oldest_age_seconds
FROM pg_catalog.pg_prepared_xacts AS p
