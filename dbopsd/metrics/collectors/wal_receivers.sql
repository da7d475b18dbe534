/*
about = "How many WAL receivers a standby has."
every_s = 10
role = "standby"

[metrics.pg_wal_receivers]
unit = "{receiver}"
help = "WAL receivers that stream. 0 on a standby: it is cut off, or reads an archive."
column = "wal_receivers"
*/
SELECT pg_catalog.count(*) FILTER (WHERE r.status = 'streaming') AS wal_receivers
FROM pg_catalog.pg_stat_wal_receiver AS r
