-- summary: SELECT pg_stat_statements_info
SELECT i.dealloc, i.stats_reset
FROM {schema}.pg_stat_statements_info() AS i
