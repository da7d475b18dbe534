-- summary: UPDATE dbops.imports
UPDATE dbops.imports
SET state = 'PUBLISHED', published = %s::jsonb, publish_time = now()
WHERE import_id = %s AND state = 'STAGED'
