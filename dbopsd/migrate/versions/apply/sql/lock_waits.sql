-- summary: SELECT pg_locks
-- Nothing unless the backend waits for a lock; then a row for each session in its way, and one without
-- a process id where there is none.
WITH locks AS MATERIALIZED (
  SELECT l.*
  FROM pg_catalog.pg_locks AS l
),
wanted AS MATERIALIZED (
  SELECT l.relation, l.waitstart, l.locktype
  FROM locks AS l
  WHERE l.pid = %(pid)s AND NOT l.granted AND l.waitstart IS NOT NULL
  LIMIT 1
),
-- Also what it only waits for: others queue behind it. With a row lock it has the lock of the row's
-- table, which is what its blocker has too.
own AS MATERIALIZED (
  SELECT l.relation, l.mode, l.locktype
  FROM locks AS l
  WHERE
    l.pid = %(pid)s
    AND l.relation IS NOT NULL
    AND l.database IN (
      SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()
    )
)
SELECT
  w.waitstart AS started,
  pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - w.waitstart) AS waited_s,
  -- Of tables that it has made itself nobody else knows, and neither does this snapshot.
  EXISTS (
    SELECT 1
    FROM own AS o
    JOIN pg_catalog.pg_class AS c ON c.oid = o.relation
    WHERE
      o.locktype = 'relation'
      AND o.mode IN (
        'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'
      )
  )
  -- Waiting for a row of one table, with rows of another one that it has changed.
  OR w.locktype IN ('transactionid', 'tuple') AND (
    SELECT pg_catalog.count(DISTINCT o.relation)
    FROM own AS o
    JOIN pg_catalog.pg_class AS c ON c.oid = o.relation
    WHERE o.locktype = 'relation' AND o.mode = 'RowExclusiveLock' AND c.relkind = 'r'
  ) > 1 AS stalls_writers,
  b.pid,
  coalesce(a.application_name, '') AS application,
  coalesce(a.usename::text, '') AS role,
  CASE
    -- The type is hidden from roles without pg_read_all_stats; only such a worker has no role.
    WHEN coalesce(a.backend_type = 'autovacuum worker', a.usesysid IS NULL AND a.datid <> 0)
      THEN 'autovacuum'
    ELSE coalesce(a.state, '')
  END AS state,
  pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.xact_start) AS age_s,
  CASE
    WHEN a.query = '<insufficient privilege>' THEN ''
    ELSE coalesce(pg_catalog.left(a.query, 1000), '')
  END AS query,
  coalesce(held.relation, '') AS relation,
  coalesce(held.mode, '') AS mode
FROM wanted AS w
LEFT JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(%(pid)s)) AS b (pid) ON true
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.pid
LEFT JOIN LATERAL (
  SELECT
    pg_catalog.format('%%I.%%I', n.nspname, c.relname) AS relation,
    l.mode
  FROM locks AS l
  JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE
    -- A prepared transaction has no process: pg_blocking_pids calls it 0, pg_locks NULL.
    l.pid IS NOT DISTINCT FROM nullif(b.pid, 0)
    AND l.locktype = 'relation'
    AND EXISTS (SELECT 1 FROM own AS o WHERE o.relation = l.relation)
  ORDER BY
    coalesce(l.relation = w.relation, false) DESC,
    EXISTS (SELECT 1 FROM own AS o WHERE o.relation = l.relation AND o.locktype = 'tuple') DESC,
    l.granted DESC,
    pg_catalog.array_position(
      ARRAY[
        'AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock',
        'ShareUpdateExclusiveLock', 'RowExclusiveLock', 'RowShareLock', 'AccessShareLock'
      ],
      l.mode
    )
  LIMIT 1
) AS held ON true
ORDER BY a.xact_start NULLS LAST, b.pid
