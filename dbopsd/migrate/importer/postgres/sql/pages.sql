-- summary: SELECT pg_relation_size
SELECT (pg_relation_size(to_regclass(%s)) / current_setting('block_size')::bigint)::bigint
