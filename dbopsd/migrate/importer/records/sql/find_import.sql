-- summary: SELECT dbops.imports
SELECT import_id, source, target_schema, staging_schema, previous_schema, state, plan::pg_catalog.text,
    published::pg_catalog.text
FROM dbops.imports
WHERE import_id = %s
