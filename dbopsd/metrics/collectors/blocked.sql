/*
about = "Sessions that wait for a lock, and those at the head of the queue."
every_s = 10

[metrics.pg_blocked_sessions]
unit = "{session}"
help = "Sessions that wait for a lock."
column = "sessions"

[metrics.pg_blocked_sessions_oldest_wait_seconds]
unit = "s"
help = "How long a session has been waiting for a lock, at most. 0 if none waits."
column = "oldest_wait_seconds"

[metrics.pg_blocked_sessions_head_blockers]
unit = "{session}"
help = "Sessions that others wait for, and that wait for none."
column = "head_blockers"

[metrics.pg_head_blocker_waiting_sessions]
unit = "{session}"
help = "Sessions that wait for this one, which waits for none itself. Of the ten that most wait for."
column = "waiting_sessions"
labels = ["pid", "datname", "usename", "application_name"]
*/
WITH waiting AS (
  SELECT
    l.pid,
    pg_catalog.min(l.waitstart) AS since
  FROM pg_catalog.pg_locks AS l
  WHERE NOT l.granted
  GROUP BY l.pid
),

blockers AS (
  SELECT DISTINCT
    w.pid,
    pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS blocker
  FROM waiting AS w
),

heads AS (
  SELECT
    b.blocker AS pid,
    pg_catalog.count(*) AS waiting_sessions
  FROM blockers AS b
  -- A prepared transaction is 0, and no session.
  WHERE b.blocker NOT IN (SELECT w.pid FROM waiting AS w)
  GROUP BY b.blocker
)

SELECT
  (SELECT pg_catalog.count(*) FROM waiting) AS sessions,
  coalesce(
    (SELECT pg_catalog.max(greatest(extract(EPOCH FROM pg_catalog.clock_timestamp() - w.since), 0)) FROM waiting AS w), 0
  ) AS oldest_wait_seconds,
  (SELECT pg_catalog.count(*) FROM heads) AS head_blockers,
  NULL::pg_catalog.int8 AS waiting_sessions,
  NULL AS pid,
  NULL AS datname,
  NULL AS usename,
  NULL AS application_name
UNION ALL
(
  SELECT
    NULL,
    NULL,
    NULL,
    h.waiting_sessions,
    h.pid::pg_catalog.text,
    coalesce(a.datname::pg_catalog.text, ''),
    coalesce(a.usename::pg_catalog.text, CASE WHEN h.pid = 0 THEN 'prepared transaction' ELSE '' END),
    coalesce(a.application_name, '')
  FROM heads AS h
  LEFT JOIN pg_catalog.pg_stat_activity AS a ON h.pid = a.pid
  ORDER BY h.waiting_sessions DESC, h.pid
  LIMIT 10
)
