-- summary: SELECT dbops.import_objects
SELECT fate, reason FROM dbops.import_objects WHERE import_id = %s AND number = %s
