-- summary: INSERT ledger_version
INSERT INTO {ledger_version} (version) VALUES (%s::pg_catalog.int4)
