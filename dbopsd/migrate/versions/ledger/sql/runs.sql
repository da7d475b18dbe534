-- summary: SELECT migration_runs
-- All columns: an older ledger, which only looking at it must not upgrade, lacks the newest. As one
-- value, which is decoded at once: thousands of texts one by one take several times as long.
SELECT pg_catalog.json_agg(pg_catalog.to_json(r) ORDER BY r.id) FROM {migration_runs} AS r
