-- summary: SELECT migration_runs
-- What the states of migrations follow from, also where two keys are of one version: all but those ups and
-- downs that later ones of the same key have made meaningless. Of a migration that runs every minute there are
-- hundreds of thousands.
-- All columns: an older ledger, which only looking at it must not upgrade, lacks the newest. As one
-- value, which is decoded at once: thousands of texts one by one take several times as long.
WITH latest AS (
    SELECT
        r.set, r.key,
        pg_catalog.max(r.id) AS run,
        pg_catalog.max(r.id) FILTER (WHERE r.result <> 'failed') AS not_failed,
        pg_catalog.max(r.id) FILTER (WHERE r.result = 'done' AND r.direction IN ('up', 'down')) AS done
    FROM {migration_runs} AS r
    GROUP BY r.set, r.key
)
SELECT pg_catalog.json_agg(pg_catalog.to_json(r) ORDER BY r.id)::pg_catalog.text
FROM {migration_runs} AS r
LEFT JOIN latest AS l ON l.set = r.set AND l.key = r.key
WHERE coalesce(r.direction NOT IN ('up', 'down'), true)
    OR r.id IN (l.run, l.not_failed, l.done)
    OR r.operation = %(operation)s::pg_catalog.text AND r.operation <> ''
    -- Rows that somebody edited by hand are to be seen.
    OR l.run IS NULL OR r.result IS NULL
