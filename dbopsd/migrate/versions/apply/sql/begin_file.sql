-- summary: SELECT set_config
-- The lock of the transaction is that of the session once more, which a file may give back before
-- its end (pg_advisory_unlock_all); this one it cannot.
SELECT
    pg_catalog.pg_current_xact_id()::pg_catalog.text,
    pg_catalog.clock_timestamp(),
    pg_catalog.pg_try_advisory_xact_lock(%(lock_key)s::pg_catalog.int8),
    pg_catalog.set_config('lock_timeout', %(lock_timeout)s, true),
    pg_catalog.set_config('statement_timeout', %(statement_timeout)s, true)
