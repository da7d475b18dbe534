-- summary: SELECT use of checkpoints
SELECT
  '' AS key,
  c.checkpoints_timed AS timed,
  c.checkpoints_req AS requested
FROM pg_catalog.pg_stat_bgwriter AS c
