/*
about = "Size of each database, a database at a time: each has its files counted."
every_s = 300
slow = true
timeout_s = 5
slice_rows = 1
top = "databases"
prefix = "pg_database_"
labels = ["datname"]

[metrics.pg_database_size_bytes]
unit = "By"
help = "Bytes on disk. No sample where the role of the DSN has neither CONNECT nor pg_read_all_stats."
column = "size_bytes"
*/
SELECT
  d.oid::pg_catalog.int8 AS slice_key,
  d.datname::pg_catalog.text AS datname,
  (d.datname = pg_catalog.current_database())::pg_catalog.int4 AS always_shown,
  CASE
    WHEN
      d.datconnlimit <> -2
      AND (
        pg_catalog.has_database_privilege(d.oid, 'CONNECT')
        OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
      )
      THEN pg_catalog.pg_database_size(d.oid)
  END AS size_bytes,
  CASE
    WHEN d.datconnlimit = -2
      THEN pg_catalog.format('database %%I is invalid: an interrupted DROP DATABASE left it, and it can only be dropped', d.datname)
    WHEN NOT pg_catalog.has_database_privilege(d.oid, 'CONNECT') AND NOT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
      THEN pg_catalog.format('the size of database %%I needs CONNECT on it, or pg_read_all_stats', d.datname)
  END AS unknown
FROM pg_catalog.pg_database AS d
WHERE d.oid > %(after)s::pg_catalog.oid
ORDER BY d.oid
LIMIT %(slice_rows)s
