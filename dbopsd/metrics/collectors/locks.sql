/*
about = "Locks held or awaited by database and mode, from pg_locks."
every_s = 10
prefix = "pg_locks_"
labels = ["datname", "mode"]

[metrics.pg_locks_count]
unit = "{lock}"
help = "Locks held or awaited. Those on transaction ids are of no database, and not counted here."
*/
SELECT
  d.datname::pg_catalog.text AS datname,
  m.mode,
  coalesce(l.count, 0) AS count
FROM (
  SELECT oid, datname
  FROM pg_catalog.pg_database
  ORDER BY (datname = pg_catalog.current_database()) DESC, datname
  LIMIT %(top_databases)s
) AS d
CROSS JOIN (
  VALUES ('accesssharelock'), ('rowsharelock'), ('rowexclusivelock'), ('shareupdateexclusivelock'), ('sharelock'),
  ('sharerowexclusivelock'), ('exclusivelock'), ('accessexclusivelock'), ('sireadlock')
) AS m (mode)
LEFT JOIN (
  SELECT
    database,
    pg_catalog.lower(mode) AS mode,
    pg_catalog.count(*) AS count
  FROM pg_catalog.pg_locks
  WHERE database IS NOT NULL
  GROUP BY 1, 2
) AS l ON d.oid = l.database AND m.mode = l.mode
