/*
about = "Who keeps vacuum from removing dead rows."
every_s = 30
full_privilege = "pg_read_all_stats"
prefix = "pg_horizon_"
labels = ["holder"]

[metrics.pg_horizon_age]
unit = "{transaction}"
help = "Transactions since the oldest one whose rows are kept for this kind of holder."
*/
SELECT
  h.holder,
  coalesce(pg_catalog.max(h.age), 0) AS age
FROM (
  SELECT 'session' AS holder, greatest(pg_catalog.age(a.backend_xmin), pg_catalog.age(a.backend_xid)) AS age
  FROM pg_catalog.pg_stat_activity AS a
  WHERE a.backend_type <> 'walsender' AND a.pid <> pg_catalog.pg_backend_pid()
  UNION ALL
  SELECT 'standby', pg_catalog.age(r.backend_xmin)
  FROM pg_catalog.pg_stat_replication AS r
  UNION ALL
  SELECT 'slot', greatest(pg_catalog.age(s.xmin), pg_catalog.age(s.catalog_xmin))
  FROM pg_catalog.pg_replication_slots AS s
  UNION ALL
  SELECT 'prepared transaction', pg_catalog.age(p.transaction)
  FROM pg_catalog.pg_prepared_xacts AS p
  UNION ALL
  VALUES ('session', 0), ('standby', 0), ('slot', 0), ('prepared transaction', 0)
) AS h (holder, age)
GROUP BY h.holder
