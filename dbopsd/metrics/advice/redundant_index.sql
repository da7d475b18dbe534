/*
about = "Indexes whose searches another index of the same table serves as well."
kinds = ["duplicate_index", "redundant_index"]
risk = "A statement that names the index in a hint, or reads it alone because it is narrower, becomes slower."
*/
WITH locked AS (
  -- SQL of an index is written under a lock on its table, for which it would wait here.
  SELECT l.relation
  FROM pg_catalog.pg_locks AS l
  WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.relation IS NOT NULL
),

indexes AS (
  SELECT
    i.indexrelid,
    i.indrelid,
    i.indnkeyatts AS keys,
    n.nspname,
    c.relname,
    c.relkind,
    c.relispartition,
    c.relpages,
    a.amname,
    (i.indkey::pg_catalog.int2 [])[0:i.indnkeyatts - 1] AS columns,
    (i.indkey::pg_catalog.int2 [])[i.indnkeyatts:] AS included,
    (i.indclass::pg_catalog.oid [])[0:i.indnkeyatts - 1] AS classes,
    (i.indcollation::pg_catalog.oid [])[0:i.indnkeyatts - 1] AS collations,
    (i.indoption::pg_catalog.int2 [])[0:i.indnkeyatts - 1] AS options,
    -- As they are stored: their SQL is written under a lock on the table.
    coalesce(pg_catalog.regexp_replace(i.indexprs::pg_catalog.text, ':location -?[0-9]+', '', 'g'), '') AS expressions,
    coalesce(pg_catalog.regexp_replace(i.indpred::pg_catalog.text, ':location -?[0-9]+', '', 'g'), '') AS predicate,
    i.indisunique,
    i.indisvalid AND i.indisready AND i.indislive AS usable,
    -- What enforces a rule, or is named by another object, is never dropped for its searches' sake.
    i.indisunique OR i.indisprimary OR i.indisexclusion OR i.indisreplident OR i.indisclustered
    OR i.indexrelid IN (SELECT o.conindid FROM pg_catalog.pg_constraint AS o WHERE o.contype IN ('p', 'u', 'x'))
    OR EXISTS (
      SELECT 1 FROM pg_catalog.pg_depend AS d
      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid IN (i.indexrelid, i.indrelid) AND d.deptype = 'e'
    ) AS kept
  FROM pg_catalog.pg_index AS i
  INNER JOIN pg_catalog.pg_class AS c ON i.indexrelid = c.oid
  INNER JOIN pg_catalog.pg_class AS t ON i.indrelid = t.oid
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  INNER JOIN pg_catalog.pg_am AS a ON c.relam = a.oid
  WHERE
    n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    AND t.relpersistence <> 't'
    -- A partition's index goes with its parent's.
    AND NOT c.relispartition
),

covers AS (
  SELECT
    d.indexrelid,
    c.indexrelid AS cover,
    c.keys = d.keys AND c.included IS NOT DISTINCT FROM d.included AS same,
    c.indisunique,
    pg_catalog.cardinality(coalesce(c.included, '{}')) > 0 AS including,
    c.keys + pg_catalog.cardinality(coalesce(c.included, '{}')) AS width,
    c.relpages
  FROM indexes AS d
  INNER JOIN indexes AS c ON d.indrelid = c.indrelid AND d.indexrelid <> c.indexrelid
  WHERE
    NOT d.kept
    AND d.usable
    AND c.usable
    AND d.amname = c.amname
    AND d.predicate = c.predicate
    AND d.keys <= c.keys
    AND c.columns[1:d.keys] = d.columns
    AND c.classes[1:d.keys] = d.classes
    AND c.collations[1:d.keys] = d.collations
    AND c.options[1:d.keys] = d.options
    -- An expression is 0 among the columns, and without one the leading columns say all.
    AND d.expressions IN ('', c.expressions)
    AND (
      -- Other methods do not search by leading columns.
      d.amname = 'btree' OR (c.keys = d.keys AND c.included IS NOT DISTINCT FROM d.included)
    )
    AND coalesce(d.included, '{}') <@ (c.columns || coalesce(c.included, '{}'))
    AND (
      -- Of twins the older one stays, unless the other one has to.
      c.keys > d.keys
      OR pg_catalog.cardinality(coalesce(c.included, '{}')) > pg_catalog.cardinality(coalesce(d.included, '{}'))
      OR c.kept
      OR c.indexrelid < d.indexrelid
    )
),

best AS (
  SELECT DISTINCT ON (v.indexrelid) v.*
  FROM covers AS v
  ORDER BY v.indexrelid, v.same DESC, v.including, v.width, v.cover
)

SELECT
  CASE WHEN b.same AND NOT b.indisunique THEN 'duplicate_index' ELSE 'redundant_index' END AS kind,
  pg_catalog.format('%%I.%%I', x.nspname, x.relname) AS object,
  CASE
    WHEN b.same AND NOT b.indisunique THEN pg_catalog.format('Drop %%I.%%I: %%I is the same', x.nspname, x.relname, y.relname)
    ELSE pg_catalog.format('Drop %%I.%%I: %%I serves its searches', x.nspname, x.relname, y.relname)
  END AS title,
  CASE WHEN b.including OR y.relpages > 3 * greatest(x.relpages, 10) THEN 'low' ELSE 'high' END AS confidence,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('definition', CASE WHEN NOT x.indrelid = ANY(SELECT l.relation FROM locked AS l) THEN pg_catalog.pg_get_indexdef(x.indexrelid) END, 'pg_index'),
    pg_catalog.jsonb_build_array('covered_by', CASE WHEN NOT x.indrelid = ANY(SELECT l.relation FROM locked AS l) THEN pg_catalog.pg_get_indexdef(y.indexrelid) END, 'pg_index'),
    pg_catalog.jsonb_build_array('index_size', pg_catalog.pg_size_pretty(x.relpages * pg_catalog.current_setting('block_size')::pg_catalog.int8), 'pg_class.relpages'),
    pg_catalog.jsonb_build_array('scans', pg_catalog.pg_stat_get_numscans(x.indexrelid)::pg_catalog.text, 'pg_stat_user_indexes, since the statistics were reset')
  ) AS evidence,
  pg_catalog.format(
    'frees %%s, and the upkeep of one index at each write (%%s rows written since the statistics were reset)',
    pg_catalog.pg_size_pretty(x.relpages * pg_catalog.current_setting('block_size')::pg_catalog.int8),
    pg_catalog.pg_stat_get_tuples_inserted(x.indrelid) + pg_catalog.pg_stat_get_tuples_updated(x.indrelid)
    + pg_catalog.pg_stat_get_tuples_deleted(x.indrelid)
  ) AS gain,
  CASE
    WHEN x.relkind = 'I'
      THEN 'DROP INDEX of a partitioned index takes an ACCESS EXCLUSIVE lock on the table and every partition, for a moment.'
  END AS risk,
  ARRAY[
    pg_catalog.format(
      'DROP INDEX %%s%%I.%%I', CASE WHEN x.relkind = 'I' THEN '' ELSE 'CONCURRENTLY ' END, x.nspname, x.relname
    )
  ] AS sql,
  ARRAY[
    CASE
      WHEN b.including
        THEN pg_catalog.format('whether the narrower index is wanted: %%I has columns that only it includes', y.relname)
      WHEN y.relpages > 3 * greatest(x.relpages, 10)
        THEN pg_catalog.format('whether the narrower index is wanted: %%I is more than three times as large', y.relname)
    END
  ] AS not_known
FROM best AS b
INNER JOIN indexes AS x ON b.indexrelid = x.indexrelid
INNER JOIN indexes AS y ON b.cover = y.indexrelid
