-- summary: UPDATE dbops.imports
UPDATE dbops.imports
SET state = 'PUBLISHED', published = %s::pg_catalog.jsonb, publish_time = pg_catalog.now()
WHERE import_id = %s AND state = 'STAGED'
