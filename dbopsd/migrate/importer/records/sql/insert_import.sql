-- summary: INSERT dbops.imports
INSERT INTO dbops.imports (
    import_id, source, target_schema, staging_schema, previous_schema, state, plan
) VALUES (%s, %s, %s, %s, %s, 'STAGED', %s::pg_catalog.jsonb)
