/*
about = "How many receivers stream, from pg_stat_replication."
every_s = 10
prefix = "pg_stat_replication_"

[metrics.pg_stat_replication_streaming_count]
unit = "{receiver}"
help = "Receivers of WAL that stream."
*/
SELECT pg_catalog.count(*) FILTER (WHERE r.state = 'streaming') AS streaming_count
FROM pg_catalog.pg_stat_replication AS r
