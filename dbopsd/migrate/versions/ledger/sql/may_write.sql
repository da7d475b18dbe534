-- summary: SELECT has_table_privilege
-- Several privileges in one text would be asked for as "any of them".
SELECT pg_catalog.bool_and(pg_catalog.has_table_privilege(c.oid, p.privilege))
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN (VALUES ('INSERT'), ('UPDATE'), ('DELETE')) AS p (privilege)
WHERE n.nspname = %(schema)s::pg_catalog.text
    AND c.relname IN ('migration_runs', 'schema_objects', 'schema_fingerprint')
