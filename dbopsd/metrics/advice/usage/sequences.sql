-- summary: SELECT use of sequences
SELECT
  s.seqrelid::pg_catalog.text AS key,
  pg_catalog.pg_sequence_last_value(s.seqrelid) AS value
FROM pg_catalog.pg_sequence AS s
INNER JOIN pg_catalog.pg_class AS c ON s.seqrelid = c.oid
WHERE
  NOT s.seqcycle
  AND c.relpersistence = 'p'
  AND pg_catalog.has_sequence_privilege(s.seqrelid, 'SELECT, USAGE')
  AND pg_catalog.pg_sequence_last_value(s.seqrelid) IS NOT NULL
