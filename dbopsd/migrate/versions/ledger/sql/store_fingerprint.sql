-- summary: INSERT schema_fingerprint
INSERT INTO {schema_fingerprint} AS f (digest, taken_at) VALUES (%s, pg_catalog.clock_timestamp())
ON CONFLICT (only_row) DO UPDATE SET digest = excluded.digest, taken_at = excluded.taken_at
