-- summary: SELECT schema_fingerprint
-- Only while it is of the schema after the last run that may have changed it.
SELECT f.digest
FROM {schema_fingerprint} AS f
WHERE f.digest = (
    SELECT r.fingerprint FROM {migration_runs} AS r WHERE r.result <> 'failed' ORDER BY r.id DESC LIMIT 1
)
