/*
about = "Sessions by database, state, user, application, backend type and wait event, from pg_stat_activity."
every_s = 10
full_privilege = "pg_read_all_stats"
prefix = "pg_stat_activity_"
labels = ["datname", "state", "usename", "application_name", "backend_type", "wait_event_type", "wait_event"]

[metrics.pg_stat_activity_count]
unit = "{session}"
help = "Sessions."

[metrics.pg_stat_activity_max_tx_duration]
unit = "s"
help = "Age of the longest transaction of these sessions, autovacuum's and WAL senders' too: look at the label backend_type."
column = "max_tx_duration"
*/
WITH databases AS (
  SELECT d.datname
  FROM pg_catalog.pg_database AS d
  ORDER BY (d.datname = pg_catalog.current_database()) DESC, d.datname
  LIMIT %(top_databases)s
),

groups AS (
  SELECT
    CASE
      WHEN a.datname IN (SELECT d.datname FROM databases AS d) THEN a.datname::pg_catalog.text
      ELSE '(others)'
    END AS datname,
    CASE a.state
      WHEN 'idle in transaction (aborted)' THEN a.state
      ELSE coalesce(a.state, '')
    END AS state,
    coalesce(a.usename::pg_catalog.text, '') AS usename,
    coalesce(a.application_name, '') AS application_name,
    coalesce(a.backend_type, '') AS backend_type,
    coalesce(a.wait_event_type, '') AS wait_event_type,
    coalesce(a.wait_event, '') AS wait_event,
    pg_catalog.count(*) AS count,
    pg_catalog.max(extract(EPOCH FROM pg_catalog.clock_timestamp() - a.xact_start)) AS max_tx_duration
  FROM pg_catalog.pg_stat_activity AS a
  WHERE a.pid <> pg_catalog.pg_backend_pid() AND a.datname IS NOT NULL
  GROUP BY 1, 2, 3, 4, 5, 6, 7
),

busiest AS (
  SELECT
    g.*,
    pg_catalog.row_number() OVER (ORDER BY g.max_tx_duration DESC NULLS LAST, g.count DESC) AS place
  FROM groups AS g
),

-- Any application can make up names: what is beyond the first 500 groups is summed by state.
bounded AS (
  SELECT
    b.datname,
    b.state,
    CASE WHEN b.place <= 500 THEN b.usename ELSE '(others)' END AS usename,
    CASE WHEN b.place <= 500 THEN b.application_name ELSE '(others)' END AS application_name,
    CASE WHEN b.place <= 500 THEN b.backend_type ELSE '(others)' END AS backend_type,
    CASE WHEN b.place <= 500 THEN b.wait_event_type ELSE '(others)' END AS wait_event_type,
    CASE WHEN b.place <= 500 THEN b.wait_event ELSE '(others)' END AS wait_event,
    pg_catalog.sum(b.count) AS count,
    pg_catalog.max(greatest(b.max_tx_duration, 0)) AS max_tx_duration
  FROM busiest AS b
  GROUP BY 1, 2, 3, 4, 5, 6, 7
),

-- Each database has each state, so that a state that nobody is in is 0 and not missing.
zeros AS (
  SELECT
    d.datname::pg_catalog.text AS datname,
    s.state
  FROM databases AS d
  CROSS JOIN (
    VALUES ('active'), ('idle'), ('idle in transaction'), ('idle in transaction (aborted)'),
    ('fastpath function call'), ('disabled')
  ) AS s (state)
)

SELECT
  coalesce(b.datname, z.datname) AS datname,
  coalesce(b.state, z.state) AS state,
  coalesce(b.usename, '') AS usename,
  coalesce(b.application_name, '') AS application_name,
  coalesce(b.backend_type, '') AS backend_type,
  coalesce(b.wait_event_type, '') AS wait_event_type,
  coalesce(b.wait_event, '') AS wait_event,
  coalesce(b.count, 0) AS count,
  coalesce(b.max_tx_duration, 0) AS max_tx_duration
FROM bounded AS b
FULL JOIN zeros AS z ON b.datname = z.datname AND b.state = z.state
