-- summary: SELECT pg_stat_statements
WITH statements AS (
  SELECT
    s.queryid,
    s.userid,
    s.dbid,
    pg_catalog.sum(s.calls) AS calls,
    pg_catalog.sum(s.total_exec_time) AS total_ms,
    pg_catalog.sum(s.rows) AS rows,
    pg_catalog.sum(s.shared_blks_hit) AS blocks_hit,
    pg_catalog.sum(s.shared_blks_read + s.local_blks_read) AS blocks_read,
    pg_catalog.sum(s.shared_blks_written + s.local_blks_written) AS blocks_written,
    pg_catalog.sum(s.temp_blks_read + s.temp_blks_written) AS temp_blocks,
    pg_catalog.sum({shared_read} + {shared_write} + {local_read} + {local_write}) AS io_ms,
    pg_catalog.sum(s.wal_bytes) AS wal_bytes,
    pg_catalog.max(s.max_exec_time) AS max_ms,
    -- The mean of squares, from which two rows' deviations become one.
    pg_catalog.sum(s.calls * (s.stddev_exec_time ^ 2 + s.mean_exec_time ^ 2)) AS squares
  -- Without texts: reading them costs ten times as much.
  FROM {schema}.pg_stat_statements(false) AS s
  -- Before version 1.11 of the extension, times of local blocks are in those of shared ones.
  CROSS JOIN (SELECT 0::pg_catalog.float8 AS ms) AS absent
  -- One may be there twice: called by itself, and from within a function.
  GROUP BY s.queryid, s.userid, s.dbid
),

ranked AS (
  SELECT
    s.*,
    s.total_ms / nullif(s.calls, 0) AS mean_ms,
    pg_catalog.sum(s.total_ms) OVER () AS all_ms,
    pg_catalog.sum((s.queryid IS NULL)::pg_catalog.int4) OVER () AS hidden
  FROM statements AS s
),

wanted AS (
  SELECT r.*
  FROM ranked AS r
  WHERE %(query_ids)s::pg_catalog.int8 [] IS NULL OR r.queryid = any(%(query_ids)s::pg_catalog.int8 [])
  ORDER BY
    CASE %(order)s::pg_catalog.text
      WHEN 'MEAN' THEN r.mean_ms
      WHEN 'CALLS' THEN r.calls::pg_catalog.float8
      WHEN 'IO' THEN (r.blocks_read + r.blocks_written)::pg_catalog.float8
      WHEN 'TEMP' THEN r.temp_blocks::pg_catalog.float8
      ELSE r.total_ms
    END DESC NULLS LAST,
    r.queryid,
    r.userid,
    r.dbid
  LIMIT %(limit)s
)

SELECT
  coalesce(w.queryid::pg_catalog.text, '') AS query_id,
  coalesce(d.datname::pg_catalog.text, w.dbid::pg_catalog.text) AS postgres_database,
  coalesce(u.rolname::pg_catalog.text, w.userid::pg_catalog.text) AS role,
  w.calls::pg_catalog.int8 AS calls,
  w.total_ms / 1000 AS total_s,
  w.rows::pg_catalog.int8 AS rows,
  w.blocks_hit::pg_catalog.int8 AS blocks_hit,
  w.blocks_read::pg_catalog.int8 AS blocks_read,
  w.blocks_written::pg_catalog.int8 AS blocks_written,
  w.temp_blocks::pg_catalog.int8 AS temp_blocks,
  w.io_ms / 1000 AS io_s,
  w.wal_bytes::pg_catalog.int8 AS wal_bytes,
  w.max_ms / 1000 AS max_s,
  coalesce(pg_catalog.sqrt(greatest(w.squares / nullif(w.calls, 0) - w.mean_ms ^ 2, 0)), 0) / 1000 AS stddev_s,
  CASE WHEN w.all_ms > 0 THEN w.total_ms / w.all_ms ELSE 0 END AS ratio,
  w.hidden
FROM wanted AS w
LEFT JOIN pg_catalog.pg_roles AS u ON w.userid = u.oid
LEFT JOIN pg_catalog.pg_database AS d ON w.dbid = d.oid
ORDER BY
  CASE %(order)s::pg_catalog.text
    WHEN 'MEAN' THEN w.mean_ms
    WHEN 'CALLS' THEN w.calls::pg_catalog.float8
    WHEN 'IO' THEN (w.blocks_read + w.blocks_written)::pg_catalog.float8
    WHEN 'TEMP' THEN w.temp_blocks::pg_catalog.float8
    ELSE w.total_ms
  END DESC NULLS LAST,
  w.queryid,
  w.userid,
  w.dbid
