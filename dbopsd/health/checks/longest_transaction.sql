-- summary: SELECT pg_stat_activity longest transaction
SELECT
  pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS permitted,
  oldest.seconds,
  oldest.holder
FROM (SELECT 1) AS always
LEFT JOIN (
  SELECT extract(EPOCH FROM pg_catalog.clock_timestamp() - started)::pg_catalog.float8 AS seconds, holder
  FROM (
    SELECT
      xact_start AS started,
      pg_catalog.format('backend %s (%s)', pid, coalesce(nullif(application_name, ''), 'unnamed')) AS holder
    FROM pg_catalog.pg_stat_activity AS activity
    WHERE
      xact_start IS NOT NULL
      AND backend_type = 'client backend'
      AND pid <> pg_catalog.pg_backend_pid()
      -- VACUUM runs as long as it needs, and no other vacuum waits for its snapshot.
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_vacuum AS vacuum WHERE vacuum.pid = activity.pid)
    UNION ALL
    -- One that its coordinator forgot outlives every session and restart.
    SELECT prepared, pg_catalog.format('prepared transaction "%s"', gid) FROM pg_catalog.pg_prepared_xacts
  ) AS open_transaction
  ORDER BY started
  LIMIT 1
) AS oldest ON true
