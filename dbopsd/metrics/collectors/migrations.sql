/*
about = "What the ledger of migrations says: their states, the last one, and drift as it was last checked."
every_s = 30
ledger = true

[metrics.dbops_migrations]
unit = "{migration}"
help = "Migrations of the set in the state, as far as the ledger knows."
column = "migrations"
labels = ["set", "state"]

[metrics.dbops_migration_last_timestamp_seconds]
unit = "s"
help = "When a migration of the set was last applied, rolled back or recorded, or failed to apply, in seconds since 1970; while one runs, when it began."
column = "last"
labels = ["set"]

[metrics.dbops_migration_drifted_objects]
unit = "{object}"
help = "Objects that differed from the schema after the last migration when that was last checked."
column = "drifted"

[metrics.dbops_migration_drift_check_timestamp_seconds]
unit = "s"
help = "When the schema was last compared with the one after the last migration, in seconds since 1970."
column = "checked"
*/
WITH known AS MATERIALIZED (
  SELECT
    m.set,
    m.state,
    extract(EPOCH FROM coalesce(m.finished_at, m.started_at))::pg_catalog.float8 AS at
  FROM {schema}.migrations AS m
),

sets AS (
  SELECT
    k.set,
    pg_catalog.max(k.at) AS last
  FROM known AS k
  GROUP BY k.set
  ORDER BY k.set
  LIMIT 100
)

-- Each state, so that one that none is in is 0 and not missing.
SELECT
  s.set,
  t.state,
  pg_catalog.count(k.state) AS migrations,
  NULL::pg_catalog.float8 AS last,
  NULL::pg_catalog.float8 AS drifted,
  NULL::pg_catalog.float8 AS checked
FROM sets AS s
CROSS JOIN (
  VALUES ('APPLIED'), ('BASELINED'), ('ADOPTED'), ('FAILED'), ('INTERRUPTED'), ('RUNNING')
) AS t (state)
LEFT JOIN known AS k ON s.set = k.set AND t.state = k.state
GROUP BY s.set, t.state
UNION ALL
SELECT
  s.set,
  '',
  NULL,
  s.last,
  NULL,
  NULL
FROM sets AS s
UNION ALL
-- A ledger of an older version has no such columns.
SELECT
  '',
  '',
  NULL,
  NULL,
  (j.facts ->> 'drifted_objects')::pg_catalog.float8,
  extract(EPOCH FROM (j.facts ->> 'drift_checked_at')::pg_catalog.timestamptz)::pg_catalog.float8
FROM {schema}.schema_fingerprint AS f
CROSS JOIN LATERAL (SELECT pg_catalog.to_jsonb(f)) AS j (facts)
-- Drift is known only while this is the schema after the last run that may have changed it.
WHERE f.digest = (
  SELECT r.fingerprint
  FROM {schema}.migration_runs AS r
  WHERE r.result <> 'failed'
  ORDER BY r.id DESC
  LIMIT 1
)
