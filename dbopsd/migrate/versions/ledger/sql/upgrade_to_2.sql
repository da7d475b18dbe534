-- summary: ALTER TABLE migration_runs
ALTER TABLE {migration_runs}
    ADD COLUMN IF NOT EXISTS normalised_checksum pg_catalog.text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS in_doubt pg_catalog.bool NOT NULL DEFAULT false;
COMMENT ON COLUMN {migration_runs}.normalised_checksum IS 'Checksum of the bytes without a byte order mark and with LF as line ends; empty: not known';
COMMENT ON COLUMN {migration_runs}.in_doubt IS 'The statement after those that are done was begun outside a transaction: it may be done or not';

ALTER TABLE {schema_fingerprint} ADD COLUMN IF NOT EXISTS format pg_catalog.int4 NOT NULL DEFAULT 1;
COMMENT ON COLUMN {schema_fingerprint}.format IS 'Of the digest: those of two formats do not compare';
