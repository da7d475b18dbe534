-- summary: SELECT to_regclass
SELECT pg_catalog.to_regclass('dbops.import_rejects') IS NOT NULL
