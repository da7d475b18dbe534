/*
about = "The longest transactions, under postgres_exporter's names."
every_s = 10
full_privilege = "pg_read_all_stats"

[metrics.pg_long_running_transactions]
unit = "{transaction}"
help = "Transactions of clients that have been open for over a minute."
column = "transactions"

[metrics.pg_long_running_transactions_oldest_timestamp_seconds]
unit = "s"
help = "Age of the oldest of them, though the name says timestamp. 0 if there is none."
column = "oldest"
*/
SELECT
  pg_catalog.count(*) AS transactions,
  coalesce(pg_catalog.max(greatest(extract(EPOCH FROM pg_catalog.clock_timestamp() - a.xact_start), 0)), 0) AS oldest
FROM pg_catalog.pg_stat_activity AS a
WHERE a.state IS DISTINCT FROM 'idle' AND a.backend_type = 'client backend' AND a.xact_start < pg_catalog.clock_timestamp() - INTERVAL '1 minute'
