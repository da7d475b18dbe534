/*
about = "Autovacuum workers that run."
every_s = 10
full_privilege = "pg_read_all_stats"
prefix = "pg_autovacuum_workers_"

[metrics.pg_autovacuum_workers_running]
unit = "{process}"
help = "Autovacuum workers that run."

[metrics.pg_autovacuum_workers_max_seconds]
unit = "s"
help = "How long an autovacuum worker has been at its table, at most."

[metrics.pg_autovacuum_workers_wraparound]
unit = "{process}"
help = "Autovacuum workers that run to prevent wraparound."
*/
SELECT
  pg_catalog.count(*) AS running,
  coalesce(pg_catalog.max(greatest(extract(EPOCH FROM pg_catalog.clock_timestamp() - a.xact_start), 0)), 0) AS max_seconds,
  pg_catalog.count(*) FILTER (WHERE a.query LIKE '%%to prevent wraparound%%') AS wraparound
FROM pg_catalog.pg_stat_activity AS a
WHERE a.backend_type = 'autovacuum worker'
