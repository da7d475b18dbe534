/*
about = "Tables whose rows nothing identifies: logical replication cannot update them, and twins cannot be told apart."
kinds = ["no_primary_key"]
severity = "warning"
risk = "Adding the key takes an ACCESS EXCLUSIVE lock for a moment."
role = "any"
*/
SELECT
  pg_catalog.format('%%I.%%I', n.nspname, c.relname) AS object,
  pg_catalog.format('Give %%I.%%I a primary key', n.nspname, c.relname) AS title,
  -- One that identifies its rows to replication otherwise, or has none yet, is no worry.
  CASE WHEN c.relreplident IN ('f', 'i') OR greatest(c.reltuples, s.n_live_tup) <= 0 THEN 'info' ELSE 'warning' END AS severity,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('rows', greatest(c.reltuples, s.n_live_tup, 0)::pg_catalog.int8::pg_catalog.text, 'pg_class.reltuples'),
    pg_catalog.jsonb_build_array('unique_index', pg_catalog.quote_ident(u.relname), 'pg_index'),
    pg_catalog.jsonb_build_array(
      'replica_identity',
      CASE c.relreplident WHEN 'f' THEN 'full' WHEN 'i' THEN 'index' WHEN 'n' THEN 'nothing' ELSE 'default' END,
      'pg_class.relreplident'
    )
  ) AS evidence,
  'each row can be addressed: by logical replication, by tools, and to delete one of two twins' AS gain,
  ARRAY[
    CASE
      WHEN u.relname IS NOT NULL
        THEN pg_catalog.format('ALTER TABLE %%I.%%I ADD PRIMARY KEY USING INDEX %%I', n.nspname, c.relname, u.relname)
    END
  ] AS sql,
  ARRAY[CASE WHEN u.relname IS NULL THEN 'which columns identify a row: choose them, or add an identity column' END]
    AS not_known
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
LEFT JOIN pg_catalog.pg_stat_user_tables AS s ON c.oid = s.relid
LEFT JOIN LATERAL (
  SELECT x.relname
  FROM pg_catalog.pg_index AS i
  INNER JOIN pg_catalog.pg_class AS x ON i.indexrelid = x.oid
  WHERE
    i.indrelid = c.oid
    AND c.relkind = 'r'
    AND i.indisunique
    AND i.indimmediate
    AND i.indisvalid
    AND i.indpred IS NULL
    AND i.indexprs IS NULL
    AND NOT coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::pg_catalog.bool, false)
    AND i.indexrelid NOT IN (SELECT o.conindid FROM pg_catalog.pg_constraint AS o)
    AND NOT EXISTS (
      SELECT 1
      FROM pg_catalog.pg_attribute AS a
      WHERE a.attrelid = c.oid AND a.attnum = ANY((i.indkey::pg_catalog.int2 [])[0:i.indnkeyatts - 1]) AND NOT a.attnotnull
    )
    -- A key has the default order of its columns.
    AND 0 = ALL((i.indoption::pg_catalog.int2 [])[0:i.indnkeyatts - 1])
  ORDER BY i.indnkeyatts, x.relname
  LIMIT 1
) AS u ON true
WHERE
  c.relkind IN ('r', 'p')
  AND NOT c.relispartition
  AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND c.oid NOT IN (SELECT o.conrelid FROM pg_catalog.pg_constraint AS o WHERE o.contype = 'p')
  AND NOT EXISTS (
    SELECT 1 FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
  )
