-- summary: UPDATE migration_runs
UPDATE {migration_runs}
SET
    statements_done = %(statements_done)s::pg_catalog.int4,
    done_digest = %(done_digest)s,
    in_doubt = %(in_doubt)s,
    indexes_before = %(indexes_before)s::pg_catalog.int8[]
WHERE id = %(id)s::pg_catalog.int8
