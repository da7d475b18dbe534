/*
about = "Limits and ages by database, from pg_database."
every_s = 30
prefix = "pg_database_"
labels = ["datname"]

[metrics.pg_database_connection_limit]
unit = "{connection}"
help = "Limit of connections. -1: none. -2: the database is invalid, because DROP DATABASE was interrupted."

[metrics.pg_database_invalid]
unit = "1"
help = "1 if DROP DATABASE was interrupted and the database can only be dropped."

[metrics.pg_database_xid_age]
unit = "{transaction}"
help = "Transactions since the oldest transaction id that is not frozen."

[metrics.pg_database_mxid_age]
unit = "{multixact}"
help = "Multixacts since the oldest one that is still needed."

[metrics.pg_database_wraparound_age_datfrozenxid_seconds]
unit = "{transaction}"
help = "The same as pg_database_xid_age: transactions, though the name says seconds."
column = "xid_age"

[metrics.pg_database_wraparound_age_datminmxid_seconds]
unit = "{multixact}"
help = "The same as pg_database_mxid_age: multixacts, though the name says seconds."
column = "mxid_age"
*/
SELECT
  d.datname::pg_catalog.text AS datname,
  d.datconnlimit AS connection_limit,
  pg_catalog.age(d.datfrozenxid) AS xid_age,
  pg_catalog.mxid_age(d.datminmxid) AS mxid_age,
  (d.datconnlimit = -2)::pg_catalog.int4 AS invalid
FROM pg_catalog.pg_database AS d
ORDER BY (d.datname = pg_catalog.current_database()) DESC, pg_catalog.age(d.datfrozenxid) DESC
LIMIT %(top_databases)s
