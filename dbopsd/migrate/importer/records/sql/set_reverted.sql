-- summary: UPDATE dbops.imports
UPDATE dbops.imports SET state = 'REVERTED' WHERE import_id = %s AND state = 'PUBLISHED'
