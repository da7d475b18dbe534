-- summary: SELECT pg_stat_activity
SELECT
  a.pid,
  a.backend_start AS start_time,
  coalesce(a.backend_type, '') AS backend_type,
  coalesce(a.datname::text, '') AS postgres_database,
  coalesce(a.usename::text, '') AS role,
  coalesce(a.application_name, '') AS application,
  coalesce(host(a.client_addr), '') AS client_address,
  coalesce(a.state, '') AS state,
  a.state_change AS state_time,
  coalesce(a.wait_event_type, '') AS wait_event_type,
  coalesce(a.wait_event, '') AS wait_event,
  a.xact_start AS transaction_time,
  a.query_start AS statement_time,
  CASE WHEN a.query = '<insufficient privilege>' THEN '' ELSE left(a.query, 10000) END AS statement,
  coalesce(a.query_id::text, '') AS query_id,
  -- It holds up all who lock: asked for those alone that wait for a lock.
  CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) ELSE '{}'::int[] END
    AS blocked_by,
  (SELECT min(l.waitstart) FROM pg_locks l WHERE l.pid = a.pid AND NOT l.granted) AS wait_time,
  coalesce(greatest(age(a.backend_xmin), age(a.backend_xid)), 0)::bigint AS horizon_age
FROM pg_stat_activity a
WHERE a.pid <> pg_backend_pid()
ORDER BY a.backend_start, a.pid
