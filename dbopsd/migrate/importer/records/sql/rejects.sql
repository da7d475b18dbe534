-- summary: SELECT dbops.import_rejects
-- In the order in which they came, which is about that of the file.
SELECT source_table, key, column_name, reason, value, raw FROM dbops.import_rejects
WHERE import_id = %s ORDER BY source_table, ctid
