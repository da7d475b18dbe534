-- summary: SELECT pg_index
-- The columns of each unique index that a row can be told by.
SELECT c.relname, array_agg(a.attname::text ORDER BY k.position)
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indrelid
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relname = ANY (%s)
    AND k.position <= i.indnkeyatts
    AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indimmediate
GROUP BY c.relname, i.indexrelid
