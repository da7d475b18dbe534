-- summary: SELECT to_regclass
SELECT pg_catalog.to_regclass(%(name)s)::pg_catalog.oid::pg_catalog.int8
