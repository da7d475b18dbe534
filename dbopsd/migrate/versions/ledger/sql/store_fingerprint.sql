-- summary: INSERT schema_fingerprint
INSERT INTO {schema_fingerprint} AS f (digest, format, taken_at, drifted_objects, drift_checked_at)
VALUES (%(digest)s, %(format)s::pg_catalog.int4, pg_catalog.clock_timestamp(), 0, pg_catalog.clock_timestamp())
ON CONFLICT (only_row) DO UPDATE
SET digest = excluded.digest, format = excluded.format, taken_at = excluded.taken_at,
    drifted_objects = excluded.drifted_objects, drift_checked_at = excluded.drift_checked_at
