-- summary: ALTER TABLE schema_fingerprint
ALTER TABLE {schema_fingerprint}
    ADD COLUMN IF NOT EXISTS drifted_objects pg_catalog.int4,
    ADD COLUMN IF NOT EXISTS drift_checked_at pg_catalog.timestamptz;
COMMENT ON COLUMN {schema_fingerprint}.drifted_objects IS 'How many objects differed from it when that was last checked';
COMMENT ON COLUMN {schema_fingerprint}.drift_checked_at IS 'When that was; null: it was not since this ledger has the column';
