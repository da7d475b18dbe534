-- summary: BEGIN
-- The lock of the session once more, for the transaction: a file may give back the other one before
-- its end (pg_advisory_unlock_all), and this one it cannot. The other one says which file it is.
SELECT
    pg_catalog.pg_try_advisory_xact_lock({lock_key}),
    pg_catalog.pg_try_advisory_xact_lock_shared({marking[0]}, {marking[1]}),
    {settings}
