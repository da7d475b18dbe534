-- summary: SELECT pg_locks of transaction ids
SELECT pg_catalog.count(*)
FROM pg_catalog.pg_locks
WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted
