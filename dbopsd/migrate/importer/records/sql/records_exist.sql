-- summary: SELECT to_regclass
SELECT to_regclass('dbops.import_rejects') IS NOT NULL
