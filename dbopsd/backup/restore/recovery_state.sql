-- summary: SELECT recovery state
SELECT
  pg_catalog.pg_is_in_recovery()
    AND pg_catalog.pg_get_wal_replay_pause_state() <> 'paused' AS recovering,
  pg_catalog.pg_last_wal_replay_lsn() AS reached_lsn,
  pg_catalog.to_char(
    pg_catalog.timezone('UTC', pg_catalog.pg_last_xact_replay_timestamp()),
    'YYYY-MM-DD"T"HH24:MI:SS.US'
  ) AS last_commit_time,
  (SELECT rolname FROM pg_catalog.pg_roles WHERE oid OPERATOR(pg_catalog.=) 10) AS superuser
