-- summary: SELECT pg_stat_activity
SELECT
  a.pid,
  a.backend_start AS start_time,
  coalesce(a.backend_type, '') AS backend_type,
  coalesce(a.leader_pid, 0) AS leader_pid,
  coalesce(a.datname::text, '') AS postgres_database,
  coalesce(a.usename::text, '') AS role,
  coalesce(a.application_name, '') AS application,
  coalesce(pg_catalog.host(a.client_addr), '') AS client_address,
  coalesce(a.state, '') AS state,
  a.state_change AS state_time,
  coalesce(a.wait_event_type, '') AS wait_event_type,
  coalesce(a.wait_event, '') AS wait_event,
  a.xact_start AS transaction_time,
  a.query_start AS statement_time,
  CASE
    WHEN a.query = '<insufficient privilege>' THEN ''
    ELSE coalesce(pg_catalog.left(a.query, 10000), '')
  END AS statement,
  coalesce(a.query_id::text, '') AS query_id,
  -- It holds up all who lock: asked for those alone that wait for a lock.
  CASE WHEN w.waits THEN pg_catalog.pg_blocking_pids(a.pid) ELSE '{}'::int[] END AS blocked_by,
  w.since AS wait_time,
  coalesce(greatest(pg_catalog.age(a.backend_xmin), pg_catalog.age(a.backend_xid)), 0)::bigint
    AS horizon_age,
  coalesce(
    pg_catalog.starts_with(a.application_name, 'dbopsd') AND a.usename = session_user, false
  ) AS own
FROM pg_catalog.pg_stat_activity AS a
-- Not the wait event: the role may not be allowed to see another's.
LEFT JOIN (
  SELECT l.pid, true AS waits, min(l.waitstart) AS since
  FROM pg_catalog.pg_locks AS l
  WHERE NOT l.granted
  GROUP BY l.pid
) AS w ON w.pid = a.pid
WHERE a.pid <> pg_catalog.pg_backend_pid()
ORDER BY a.backend_start, a.pid
