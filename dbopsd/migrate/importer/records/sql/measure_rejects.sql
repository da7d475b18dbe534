-- summary: SELECT count(dbops.import_rejects)
SELECT count(*), coalesce(max(octet_length(raw)), 0) FROM dbops.import_rejects WHERE import_id = %s
