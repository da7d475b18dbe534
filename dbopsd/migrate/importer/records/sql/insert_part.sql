-- summary: INSERT dbops.import_parts
INSERT INTO dbops.import_parts (import_id, source_table, part, copied) VALUES (%s, %s, %s, %s::pg_catalog.jsonb)
