-- summary: SELECT migration_runs
-- All columns: an older ledger, which only looking at it must not upgrade, lacks the newest.
SELECT r.* FROM {migration_runs} AS r ORDER BY r.id
