-- summary: CREATE TABLE dbops.imports
CREATE SCHEMA IF NOT EXISTS dbops;

CREATE TABLE IF NOT EXISTS dbops.imports (
    import_id pg_catalog.text PRIMARY KEY,
    source pg_catalog.text NOT NULL,
    target_schema pg_catalog.text NOT NULL,
    staging_schema pg_catalog.text NOT NULL,
    previous_schema pg_catalog.text NOT NULL,
    state pg_catalog.text NOT NULL CHECK (state IN ('STAGED', 'PUBLISHED', 'REVERTED')),
    plan pg_catalog.jsonb NOT NULL,
    published pg_catalog.jsonb NOT NULL DEFAULT '[]',
    create_time pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),
    publish_time pg_catalog.timestamptz
);
COMMENT ON TABLE dbops.imports IS 'Imports by dbopsd: what each made, and what reverts it';

CREATE TABLE IF NOT EXISTS dbops.import_parts (
    import_id pg_catalog.text NOT NULL REFERENCES dbops.imports ON DELETE CASCADE,
    source_table pg_catalog.text NOT NULL,
    part pg_catalog.int4 NOT NULL,
    copied pg_catalog.jsonb NOT NULL,
    PRIMARY KEY (import_id, source_table, part)
);
COMMENT ON TABLE dbops.import_parts IS 'Parts of tables that are copied, each with its rows';

CREATE TABLE IF NOT EXISTS dbops.import_objects (
    import_id pg_catalog.text NOT NULL REFERENCES dbops.imports ON DELETE CASCADE,
    number pg_catalog.int4 NOT NULL,
    fate pg_catalog.text NOT NULL,
    reason pg_catalog.text NOT NULL,
    PRIMARY KEY (import_id, number)
);
COMMENT ON TABLE dbops.import_objects IS 'Keys, indexes, constraints and views that are made';

CREATE TABLE IF NOT EXISTS dbops.import_rejects (
    import_id pg_catalog.text NOT NULL REFERENCES dbops.imports ON DELETE CASCADE,
    source_table pg_catalog.text NOT NULL,
    key pg_catalog.text NOT NULL,
    column_name pg_catalog.text NOT NULL,
    reason pg_catalog.text NOT NULL,
    value pg_catalog.text NOT NULL,
    raw pg_catalog.bytea
);
CREATE INDEX IF NOT EXISTS import_rejects_import ON dbops.import_rejects (import_id, source_table);
COMMENT ON TABLE dbops.import_rejects IS 'Values that did not arrive, and with them their rows'
