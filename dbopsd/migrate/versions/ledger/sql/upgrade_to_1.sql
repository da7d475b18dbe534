-- summary: CREATE TABLE migration_runs
CREATE TABLE IF NOT EXISTS {ledger_version} (
    version pg_catalog.int4 PRIMARY KEY,
    created_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE {ledger_version} IS 'The versions of this ledger of migrations: the highest is that of its tables';

CREATE TABLE IF NOT EXISTS {migration_runs} (
    id pg_catalog.int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    set pg_catalog.text NOT NULL,
    key pg_catalog.text NOT NULL,
    version pg_catalog.text NOT NULL,
    name pg_catalog.text NOT NULL,
    checksum pg_catalog.text NOT NULL,
    checksum_algorithm pg_catalog.text NOT NULL,
    direction pg_catalog.text NOT NULL,
    result pg_catalog.text NOT NULL CHECK (result IN ('running', 'done', 'failed', 'interrupted')),
    started_at pg_catalog.timestamptz NOT NULL,
    finished_at pg_catalog.timestamptz,
    statements pg_catalog.int4 NOT NULL,
    statements_done pg_catalog.int4 NOT NULL,
    operation pg_catalog.text NOT NULL,
    who pg_catalog.text NOT NULL,
    backend_pid pg_catalog.int4 NOT NULL,
    backend_start pg_catalog.timestamptz,
    fingerprint pg_catalog.text NOT NULL,
    reason pg_catalog.text NOT NULL,
    backup pg_catalog.text NOT NULL,
    problem pg_catalog.text NOT NULL
);
COMMENT ON TABLE {migration_runs} IS 'Each run of each direction of a migration by dbopsd';
COMMENT ON COLUMN {migration_runs}.key IS 'What identifies a migration within its set: its version, or R:name if it is repeatable';
COMMENT ON COLUMN {migration_runs}.fingerprint IS 'Of the schema afterwards; empty: it was not taken';

CREATE TABLE IF NOT EXISTS {schema_fingerprint} (
    only_row pg_catalog.bool PRIMARY KEY DEFAULT true CHECK (only_row),
    digest pg_catalog.text NOT NULL,
    taken_at pg_catalog.timestamptz NOT NULL
);
COMMENT ON TABLE {schema_fingerprint} IS 'The schema after the last migration, from which drift is measured';

CREATE TABLE IF NOT EXISTS {schema_objects} (
    id pg_catalog.int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind pg_catalog.text NOT NULL,
    identity pg_catalog.text NOT NULL,
    definition pg_catalog.text NOT NULL,
    position pg_catalog.int4 NOT NULL,
    owner_and_grants pg_catalog.text NOT NULL
);
COMMENT ON TABLE {schema_objects} IS 'The objects of that schema';

CREATE OR REPLACE VIEW {migrations} AS
SELECT DISTINCT ON (r.set, r.key)
    r.set, r.key, r.version, r.name,
    CASE
        WHEN r.direction = 'resolve-applied' THEN 'APPLIED'
        WHEN r.direction = 'resolve-not-applied' THEN 'PENDING'
        WHEN r.result = 'running' AND EXISTS (
            SELECT FROM pg_catalog.pg_stat_activity AS a
            -- The start is hidden from roles that may not see other roles' sessions.
            WHERE a.pid = r.backend_pid AND coalesce(a.backend_start = r.backend_start, true)
        ) THEN 'RUNNING'
        WHEN r.result = 'running' THEN 'INTERRUPTED'
        WHEN r.result = 'interrupted' THEN 'INTERRUPTED'
        WHEN r.result = 'failed' THEN 'FAILED'
        WHEN r.direction = 'down' THEN 'PENDING'
        WHEN r.direction = 'baseline' THEN 'BASELINED'
        WHEN r.direction = 'adopt' THEN 'ADOPTED'
        ELSE 'APPLIED'
    END AS state,
    r.checksum, r.checksum_algorithm, r.started_at, r.finished_at, r.statements, r.statements_done,
    r.operation, r.who, r.reason, r.problem
FROM {migration_runs} AS r
-- A rollback that failed left nothing behind: the migration is what it was.
WHERE NOT (r.direction = 'down' AND r.result = 'failed')
ORDER BY r.set, r.key, r.id DESC;
COMMENT ON VIEW {migrations} IS 'The state of each migration as far as the ledger knows, without the files';
