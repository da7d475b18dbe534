-- summary: SELECT pg_relation_size
SELECT (pg_catalog.pg_relation_size(pg_catalog.to_regclass(%s)) / pg_catalog.current_setting('block_size')::pg_catalog.int8)::pg_catalog.int8
