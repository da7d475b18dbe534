-- summary: UPDATE migration_runs
UPDATE {migration_runs}
SET
    result = %(result)s,
    finished_at = pg_catalog.clock_timestamp(),
    statements_done = %(statements_done)s::pg_catalog.int4,
    in_doubt = %(in_doubt)s,
    fingerprint = %(fingerprint)s,
    problem = %(problem)s
WHERE id = %(id)s::pg_catalog.int8
