-- summary: SELECT pg_tablespace sizes
SELECT
  pg_catalog.count(*) FILTER (WHERE spcname NOT IN ('pg_default', 'pg_global'))
    ::pg_catalog.int4 AS tablespaces,
  -- Who may not see a size does not know how far a backup is, and can take it.
  coalesce(
    pg_catalog.sum(
      CASE
        WHEN permitted OR pg_catalog.has_tablespace_privilege(spcname, 'CREATE')
          THEN pg_catalog.pg_tablespace_size(oid)
      END
    ),
    0
  )::pg_catalog.int8 AS size_bytes
FROM pg_catalog.pg_tablespace
CROSS JOIN (
  SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS permitted
) AS role
