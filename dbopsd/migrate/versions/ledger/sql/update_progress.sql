-- summary: UPDATE migration_runs
UPDATE {migration_runs}
SET statements_done = %(statements_done)s::pg_catalog.int4, in_doubt = %(in_doubt)s
WHERE id = %(id)s::pg_catalog.int8
