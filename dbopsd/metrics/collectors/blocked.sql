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
  SELECT
    w.pid,
    w.since,
    pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS blocker
  FROM waiting AS w
)

SELECT
  (SELECT pg_catalog.count(*) FROM waiting) AS sessions,
  coalesce(
    (SELECT pg_catalog.max(greatest(extract(EPOCH FROM pg_catalog.clock_timestamp() - w.since), 0)) FROM waiting AS w), 0
  ) AS oldest_wait_seconds,
  (
    SELECT pg_catalog.count(DISTINCT b.blocker)
    FROM blockers AS b
    WHERE b.blocker NOT IN (SELECT w.pid FROM waiting AS w)
  ) AS head_blockers
