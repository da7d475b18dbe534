-- summary: SELECT pg_cancel_backend autovacuum
-- The workers of autovacuum that are in the backend's way, where this role may cancel them (a superuser,
-- and from 18 on a member of pg_signal_autovacuum_worker), unless they run against wraparound. Whether
-- they do is hidden from roles without pg_read_all_stats: then the ages of the table decide.
SELECT pg_catalog.pg_cancel_backend(a.pid) AS cancelled
FROM pg_catalog.pg_stat_activity AS a
WHERE
  a.pid = ANY (pg_catalog.pg_blocking_pids(%(pid)s))
  AND coalesce(a.backend_type = 'autovacuum worker', a.usesysid IS NULL AND a.datid <> 0)
  AND CASE
    WHEN a.query <> '<insufficient privilege>'
      THEN a.query NOT LIKE '%%(to prevent wraparound)'
    ELSE NOT EXISTS (
      SELECT 1
      FROM pg_catalog.pg_locks AS l
      JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
      WHERE
        l.pid = a.pid
        AND l.mode = 'ShareUpdateExclusiveLock'
        AND (
          c.reloptions::text LIKE '%%freeze_max_age%%'
          OR pg_catalog.age(c.relfrozenxid)
            > pg_catalog.current_setting('autovacuum_freeze_max_age')::int
          OR pg_catalog.mxid_age(c.relminmxid)
            > pg_catalog.current_setting('autovacuum_multixact_freeze_max_age')::int
        )
    )
  END
  AND (
    (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user)
    OR coalesce(
      pg_catalog.pg_has_role(pg_catalog.to_regrole('pg_signal_autovacuum_worker'), 'USAGE'), false
    )
  )
