-- summary: SELECT setval
SELECT pg_catalog.setval(
    s.seqrelid::pg_catalog.regclass,
    least(
        greatest(%(used)s::pg_catalog.int8, pg_catalog.pg_sequence_last_value(s.seqrelid)),
        s.seqmax
    )
)
FROM pg_catalog.pg_sequence AS s
WHERE s.seqrelid OPERATOR(pg_catalog.=) %(sequence)s::pg_catalog.oid
    AND %(used)s::pg_catalog.int8 OPERATOR(pg_catalog.>=) s.seqmin
