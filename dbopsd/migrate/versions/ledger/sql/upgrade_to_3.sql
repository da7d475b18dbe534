-- summary: ALTER TABLE migration_runs
ALTER TABLE {migration_runs}
    ADD COLUMN IF NOT EXISTS done_digest pg_catalog.text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS indexes_before pg_catalog.int8[],
    ADD COLUMN IF NOT EXISTS request_id pg_catalog.text NOT NULL DEFAULT '';
COMMENT ON COLUMN {migration_runs}.done_digest IS 'SHA-256 of the texts of the statements that are done outside a transaction; empty: not known';
COMMENT ON COLUMN {migration_runs}.indexes_before IS 'The oids of the indexes that its table had before the statement in doubt, if that creates one without a name, or the oid of the one that it drops';
COMMENT ON COLUMN {migration_runs}.request_id IS 'Of a resolution: the caller''s id of the request; empty: none';
