-- summary: UPDATE schema_fingerprint
-- Unless another schema is the expected one by now.
UPDATE {schema_fingerprint} AS f
SET drifted_objects = %(objects)s::pg_catalog.int4, drift_checked_at = pg_catalog.clock_timestamp()
WHERE f.digest OPERATOR(pg_catalog.=) %(digest)s::pg_catalog.text
