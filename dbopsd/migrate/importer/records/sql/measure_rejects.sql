-- summary: SELECT count(dbops.import_rejects)
SELECT pg_catalog.count(*), coalesce(pg_catalog.max(pg_catalog.octet_length(raw)), 0) FROM dbops.import_rejects WHERE import_id = %s
