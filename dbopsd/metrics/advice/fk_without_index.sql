/*
about = "Foreign keys for which a change of the referenced table reads the whole referencing one."
kinds = ["fk_without_index"]
severity = "warning"
risk = "A build reads the table twice and makes writes a little slower for ever; one that fails leaves an invalid index."
*/
WITH keys AS (
  SELECT DISTINCT ON (k.conrelid, k.conkey)
    k.conname,
    k.conrelid,
    k.confrelid,
    k.conkey,
    n.nspname,
    c.relname,
    c.relkind,
    greatest(
      c.reltuples, pg_catalog.pg_stat_get_live_tuples(c.oid),
      (
        SELECT pg_catalog.sum(greatest(p.reltuples, 0))
        FROM pg_catalog.pg_inherits AS h
        INNER JOIN pg_catalog.pg_class AS p ON h.inhrelid = p.oid
        WHERE h.inhparent = c.oid
      )
    )::pg_catalog.int8 AS rows,
    pg_catalog.pg_stat_get_tuples_deleted(k.confrelid) AS n_tup_del,
    pg_catalog.pg_stat_get_tuples_updated(k.confrelid) AS n_tup_upd,
    ARRAY(
      SELECT pg_catalog.quote_ident(a.attname)
      FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS p (attnum, place)
      INNER JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND p.attnum = a.attnum
      ORDER BY p.place
    ) AS names
  FROM pg_catalog.pg_constraint AS k
  INNER JOIN pg_catalog.pg_class AS c ON k.conrelid = c.oid
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  WHERE
    k.contype = 'f'
    -- A partition's is its parent's.
    AND k.conparentid = 0
    AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND NOT EXISTS (
      SELECT 1 FROM pg_catalog.pg_depend AS d
      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = k.conrelid AND d.deptype = 'e'
    )
  ORDER BY k.conrelid, k.conkey, k.conname
),

bare AS (
  SELECT k.*
  FROM keys AS k
  WHERE NOT EXISTS (
    SELECT 1
    FROM pg_catalog.pg_index AS i
    INNER JOIN pg_catalog.pg_class AS x ON i.indexrelid = x.oid
    INNER JOIN pg_catalog.pg_am AS m ON x.relam = m.oid
    WHERE
      i.indrelid = k.conrelid
      AND i.indisvalid
      AND i.indisready
      AND i.indislive
      AND i.indnkeyatts >= pg_catalog.cardinality(k.conkey)
      AND (m.amname IN ('btree', 'gist') OR (m.amname = 'hash' AND pg_catalog.cardinality(k.conkey) = 1))
      -- The leading columns in any order serve an equality with each.
      AND (i.indkey::pg_catalog.int2 [])[0:pg_catalog.cardinality(k.conkey) - 1] @> k.conkey
      AND (i.indkey::pg_catalog.int2 [])[0:pg_catalog.cardinality(k.conkey) - 1] <@ k.conkey
      AND (
        i.indpred IS NULL
        -- A search for a key never looks for NULL.
        -- It is read as it is stored: pg_get_expr would wait for a lock on the table.
        OR pg_catalog.regexp_replace(
          i.indpred::pg_catalog.text,
          pg_catalog.format(
            '\{NULLTEST :arg \{VAR [^{}]*:varattno (%%s) [^{}]*\} :nulltesttype 1 [^{}]*\}',
            pg_catalog.array_to_string(k.conkey, '|')
          ),
          '',
          'g'
        ) ~ '^[() ]*$|^[() ]*\{BOOLEXPR :boolop and :args [() ]*( :location -?[0-9]+)?\}[() ]*$'
      )
  )
)

SELECT
  pg_catalog.format('%%I.%%I (%%s)', b.nspname, b.relname, pg_catalog.array_to_string(b.names, ', ')) AS object,
  pg_catalog.format(
    'Create an index on %%I.%%I (%%s): each DELETE or change of a key in %%s reads the whole table',
    b.nspname, b.relname, pg_catalog.array_to_string(b.names, ', '), b.confrelid::pg_catalog.regclass
  ) AS title,
  CASE
    WHEN b.rows < 10000 OR coalesce(b.n_tup_del + b.n_tup_upd, 0) = 0 THEN 'info' ELSE 'warning'
  END AS severity,
  CASE WHEN b.rows < 10000 OR coalesce(b.n_tup_del + b.n_tup_upd, 0) = 0 THEN 'low' ELSE 'high' END AS confidence,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('constraint', pg_catalog.format('%%I %%s', b.conname, pg_catalog.pg_get_constraintdef(o.oid)), 'pg_constraint'),
    pg_catalog.jsonb_build_array('rows', greatest(b.rows, 0)::pg_catalog.text, 'pg_class.reltuples'),
    pg_catalog.jsonb_build_array(
      'deletes_of_referenced', coalesce(b.n_tup_del, 0)::pg_catalog.text, 'pg_stat_user_tables, since the statistics were reset'
    ),
    pg_catalog.jsonb_build_array(
      'updates_of_referenced', coalesce(b.n_tup_upd, 0)::pg_catalog.text, 'pg_stat_user_tables, since the statistics were reset'
    )
  ) AS evidence,
  pg_catalog.format(
    'a DELETE in %%s looks at the rows of its key and not at about %%s rows, for each row that is deleted',
    b.confrelid::pg_catalog.regclass, greatest(b.rows, 0)
  ) AS gain,
  CASE
    WHEN b.relkind = 'p'
      THEN 'A build on a partitioned table cannot be CONCURRENTLY: it stops writes to every partition while it lasts.'
  END AS risk,
  ARRAY[
    pg_catalog.format(
      'CREATE INDEX %%sON %%I.%%I (%%s)',
      CASE WHEN b.relkind = 'p' THEN '' ELSE 'CONCURRENTLY ' END,
      b.nspname, b.relname, pg_catalog.array_to_string(b.names, ', ')
    )
  ] AS sql,
  ARRAY[
    CASE WHEN b.rows < 10000 THEN 'how large the table becomes: a small one is read faster than an index' END,
    CASE
      WHEN coalesce(b.n_tup_del + b.n_tup_upd, 0) = 0
        THEN 'whether rows of the referenced table are ever deleted: none was since the statistics were reset'
    END
  ] AS not_known
FROM bare AS b
INNER JOIN pg_catalog.pg_constraint AS o ON b.conrelid = o.conrelid AND b.conname = o.conname
