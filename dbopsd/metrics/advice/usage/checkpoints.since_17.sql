-- summary: SELECT use of checkpoints
SELECT
  '' AS key,
  c.num_timed AS timed,
  c.num_requested AS requested
FROM pg_catalog.pg_stat_checkpointer AS c
