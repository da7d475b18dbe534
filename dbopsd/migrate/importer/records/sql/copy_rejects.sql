-- summary: COPY dbops.import_rejects
COPY dbops.import_rejects (import_id, source_table, key, column_name, reason, value, raw) FROM STDIN
