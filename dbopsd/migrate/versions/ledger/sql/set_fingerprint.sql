-- summary: UPDATE migration_runs
UPDATE {migration_runs} SET fingerprint = %(fingerprint)s WHERE id = %(id)s::pg_catalog.int8
