-- summary: SELECT pg_index
-- The columns of each unique index that a row can be told by.
SELECT c.relname, pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY k.position)
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%s)) AND c.relname = ANY (%s)
    AND k.position <= i.indnkeyatts
    AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indimmediate
GROUP BY c.relname, i.indexrelid
