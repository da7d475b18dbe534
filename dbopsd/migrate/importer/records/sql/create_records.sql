-- summary: CREATE TABLE dbops.imports
CREATE SCHEMA IF NOT EXISTS dbops;

CREATE TABLE IF NOT EXISTS dbops.imports (
    import_id text PRIMARY KEY,
    source text NOT NULL,
    target_schema text NOT NULL,
    staging_schema text NOT NULL,
    previous_schema text NOT NULL,
    state text NOT NULL CHECK (state IN ('STAGED', 'PUBLISHED', 'REVERTED')),
    plan jsonb NOT NULL,
    published jsonb NOT NULL DEFAULT '[]',
    create_time timestamptz NOT NULL DEFAULT now(),
    publish_time timestamptz
);
COMMENT ON TABLE dbops.imports IS 'Imports by dbopsd: what each made, and what reverts it';

CREATE TABLE IF NOT EXISTS dbops.import_parts (
    import_id text NOT NULL REFERENCES dbops.imports ON DELETE CASCADE,
    source_table text NOT NULL,
    part integer NOT NULL,
    copied jsonb NOT NULL,
    PRIMARY KEY (import_id, source_table, part)
);
COMMENT ON TABLE dbops.import_parts IS 'Parts of tables that are copied, each with its rows';

CREATE TABLE IF NOT EXISTS dbops.import_objects (
    import_id text NOT NULL REFERENCES dbops.imports ON DELETE CASCADE,
    number integer NOT NULL,
    fate text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (import_id, number)
);
COMMENT ON TABLE dbops.import_objects IS 'Keys, indexes, constraints and views that are made';

CREATE TABLE IF NOT EXISTS dbops.import_rejects (
    import_id text NOT NULL REFERENCES dbops.imports ON DELETE CASCADE,
    source_table text NOT NULL,
    key text NOT NULL,
    column_name text NOT NULL,
    reason text NOT NULL,
    value text NOT NULL,
    raw bytea
);
CREATE INDEX IF NOT EXISTS import_rejects_import ON dbops.import_rejects (import_id, source_table);
COMMENT ON TABLE dbops.import_rejects IS 'Values that did not arrive, and with them their rows'
