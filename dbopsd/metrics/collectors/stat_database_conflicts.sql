/*
about = "Queries cancelled on a standby because of conflicts with recovery, from pg_stat_database_conflicts."
every_s = 10
prefix = "pg_stat_database_conflicts_"
labels = ["datid", "datname"]

[metrics.pg_stat_database_conflicts_confl_tablespace]
type = "counter"
unit = "{query}"
help = "Queries cancelled because a tablespace was dropped."

[metrics.pg_stat_database_conflicts_confl_lock]
type = "counter"
unit = "{query}"
help = "Queries cancelled because of lock timeouts."

[metrics.pg_stat_database_conflicts_confl_snapshot]
type = "counter"
unit = "{query}"
help = "Queries cancelled because of old snapshots."

[metrics.pg_stat_database_conflicts_confl_bufferpin]
type = "counter"
unit = "{query}"
help = "Queries cancelled because of pinned buffers."

[metrics.pg_stat_database_conflicts_confl_deadlock]
type = "counter"
unit = "{query}"
help = "Queries cancelled because of deadlocks."
*/
SELECT
  c.datid::pg_catalog.text AS datid,
  c.datname::pg_catalog.text AS datname,
  c.confl_tablespace,
  c.confl_lock,
  c.confl_snapshot,
  c.confl_bufferpin,
  c.confl_deadlock
FROM pg_catalog.pg_stat_database_conflicts AS c
ORDER BY
  (c.datname = pg_catalog.current_database()) DESC,
  c.confl_tablespace + c.confl_lock + c.confl_snapshot + c.confl_bufferpin + c.confl_deadlock DESC,
  c.datname
LIMIT %(top_databases)s
