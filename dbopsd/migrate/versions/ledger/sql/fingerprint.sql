-- summary: SELECT schema_fingerprint
-- Only while it is of the schema after the last run that may have changed it. A ledger of version 1
-- has no formats; all its digests are of the first.
SELECT f.digest, coalesce((pg_catalog.to_jsonb(f) ->> 'format')::pg_catalog.int4, 1)
FROM {schema_fingerprint} AS f
WHERE f.digest = (
    SELECT r.fingerprint FROM {migration_runs} AS r WHERE r.result <> 'failed' ORDER BY r.id DESC LIMIT 1
)
