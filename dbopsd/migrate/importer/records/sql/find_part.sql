-- summary: SELECT dbops.import_parts
SELECT copied::pg_catalog.text FROM dbops.import_parts WHERE import_id = %s AND source_table = %s AND part = %s
