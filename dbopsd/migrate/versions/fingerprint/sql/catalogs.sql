-- summary: SELECT pg_class
-- What is shared by all databases is no part of a schema, nor are statistics and large objects.
SELECT c.relname::pg_catalog.text
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace AND c.relkind = 'r' AND NOT c.relisshared
    AND c.relname NOT IN ('pg_statistic', 'pg_statistic_ext_data', 'pg_largeobject', 'pg_largeobject_metadata')
    AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
ORDER BY 1
