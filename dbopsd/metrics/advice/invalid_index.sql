/*
about = "Indexes that a failed build left behind: kept up at each write, and never read."
kinds = ["invalid_index"]
severity = "warning"
risk = "REINDEX CONCURRENTLY builds the index anew beside the old one; of a unique index it fails again if there are duplicates."
*/
SELECT
  pg_catalog.format('%%I.%%I', n.nspname, c.relname) AS object,
  CASE
    WHEN c.relname ~ '_cc(new|old)[0-9]*$' THEN pg_catalog.format('Drop %%I.%%I, which a REINDEX left behind', n.nspname, c.relname)
    ELSE pg_catalog.format('Rebuild or drop %%I.%%I, which no statement uses', n.nspname, c.relname)
  END AS title,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('definition', pg_catalog.pg_get_indexdef(i.indexrelid), 'pg_index'),
    pg_catalog.jsonb_build_array('index_size', pg_catalog.pg_size_pretty(c.relpages * pg_catalog.current_setting('block_size')::pg_catalog.int8), 'pg_class.relpages'),
    pg_catalog.jsonb_build_array('kept_up_at_writes', i.indisready::pg_catalog.text, 'pg_index.indisready')
  ) AS evidence,
  'its searches use it again, or its upkeep and its space are saved' AS gain,
  CASE WHEN c.relname ~ '_cc(new|old)[0-9]*$' THEN 'None: nothing uses the index.' END AS risk,
  ARRAY[
    CASE
      WHEN c.relname ~ '_cc(new|old)[0-9]*$' THEN pg_catalog.format('DROP INDEX CONCURRENTLY %%I.%%I', n.nspname, c.relname)
      WHEN i.indisexclusion THEN pg_catalog.format('REINDEX INDEX %%I.%%I', n.nspname, c.relname)
      ELSE pg_catalog.format('REINDEX INDEX CONCURRENTLY %%I.%%I', n.nspname, c.relname)
    END
  ] AS sql,
  '{}'::pg_catalog.text [] AS not_known
FROM pg_catalog.pg_index AS i
INNER JOIN pg_catalog.pg_class AS c ON i.indexrelid = c.oid
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE
  NOT i.indisvalid
  AND c.relkind = 'i'
  AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  -- A build holds this lock to its end, and so does a vacuum: who sees it may see a build that goes on.
  AND NOT EXISTS (
    SELECT 1
    FROM pg_catalog.pg_locks AS l
    WHERE
      l.locktype = 'relation'
      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
      AND l.relation = i.indrelid
      AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'AccessExclusiveLock')
  )
  AND NOT EXISTS (
    SELECT 1 FROM pg_catalog.pg_stat_progress_create_index AS p WHERE i.indexrelid = p.index_relid OR i.indrelid = p.relid
  )
