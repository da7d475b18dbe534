-- summary: SELECT table and its indexes
SELECT
  -- An index of a partition belongs to its parent.
  CASE WHEN c.relispartition THEN 'partition' ELSE c.relkind::pg_catalog.text END AS kind,
  c.reltuples::pg_catalog.float8 AS rows,
  coalesce(s.n_mod_since_analyze, 0) > 0.1 * greatest(c.reltuples, 1) AS stale,
  coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0) > 10 * greatest(s.seq_scan + s.idx_scan, 1) AS written,
  ARRAY(
    SELECT ARRAY[a.attname::pg_catalog.text, pg_catalog.quote_ident(a.attname)]
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
  ) AS columns,
  coalesce((
    SELECT
      pg_catalog.jsonb_agg(ARRAY(
        SELECT coalesce(a.attname::pg_catalog.text, '')
        FROM pg_catalog.unnest(i.indkey::pg_catalog.int2 []) WITH ORDINALITY AS k (attnum, place)
        LEFT JOIN pg_catalog.pg_attribute AS a ON i.indrelid = a.attrelid AND k.attnum = a.attnum AND k.attnum > 0
        WHERE k.place <= i.indnkeyatts
        ORDER BY k.place
      ))
    FROM pg_catalog.pg_index AS i
    WHERE i.indrelid = c.oid AND i.indislive AND i.indpred IS NULL
  ), '[]') AS indexes
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
LEFT JOIN pg_catalog.pg_stat_user_tables AS s ON c.oid = s.relid
WHERE n.nspname = %(schema)s AND c.relname = %(table)s
