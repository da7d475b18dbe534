-- summary: DELETE dbops.imports
DELETE FROM dbops.imports WHERE import_id = %s
