-- summary: SELECT ledger_version
SELECT coalesce(pg_catalog.max(v.version), 0) FROM {ledger_version} AS v
