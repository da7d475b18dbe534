/*
about = "Sessions that hold something up: idle in a transaction, blocked, or long."
every_s = 10
full_privilege = "pg_read_all_stats"
prefix = "pg_sessions_"
labels = ["datname"]

[metrics.pg_sessions_idle_in_transaction]
unit = "{session}"
help = "Client sessions that are idle in a transaction."

[metrics.pg_stat_activity_max_idle_in_transaction_seconds]
unit = "s"
help = "How long a client session has been idle in its transaction, at most: since its state changed, not since its transaction began."
column = "max_idle_in_transaction_seconds"

[metrics.pg_sessions_max_idle_holding_horizon_seconds]
unit = "s"
help = "The same for those that keep vacuum from removing rows."

[metrics.pg_sessions_max_transaction_seconds]
unit = "s"
help = "Age of the longest transaction of a client."

[metrics.pg_sessions_max_statement_seconds]
unit = "s"
help = "How long a client's statement has been running, at most."
*/
WITH sessions AS (
  SELECT
    a.pid,
    coalesce(a.datname::pg_catalog.text, '') AS datname,
    a.state,
    a.backend_xid,
    a.backend_xmin,
    a.xact_start,
    greatest(extract(EPOCH FROM pg_catalog.clock_timestamp() - a.xact_start), 0) AS transaction_s,
    greatest(extract(EPOCH FROM pg_catalog.clock_timestamp() - a.state_change), 0) AS state_s,
    greatest(extract(EPOCH FROM pg_catalog.clock_timestamp() - a.query_start), 0) AS statement_s
  FROM pg_catalog.pg_stat_activity AS a
  WHERE a.backend_type = 'client backend' AND a.pid <> pg_catalog.pg_backend_pid()
)

SELECT
  s.datname,
  pg_catalog.count(*) FILTER (WHERE s.state LIKE 'idle in transaction%%') AS idle_in_transaction,
  coalesce(pg_catalog.max(s.state_s) FILTER (WHERE s.state LIKE 'idle in transaction%%'), 0) AS max_idle_in_transaction_seconds,
  coalesce(
    pg_catalog.max(s.state_s) FILTER (
      WHERE s.state LIKE 'idle in transaction%%' AND (s.backend_xid IS NOT NULL OR s.backend_xmin IS NOT NULL)
    ), 0
  ) AS max_idle_holding_horizon_seconds,
  coalesce(pg_catalog.max(s.transaction_s), 0) AS max_transaction_seconds,
  coalesce(pg_catalog.max(s.statement_s) FILTER (WHERE s.state = 'active'), 0) AS max_statement_seconds
FROM sessions AS s
GROUP BY s.datname
ORDER BY (s.datname = pg_catalog.current_database()) DESC, pg_catalog.max(s.transaction_s) DESC NULLS LAST
LIMIT %(top_databases)s
