-- summary: SELECT pg_sequence
-- The sequences that fill columns of whole numbers: an identity's, a serial's, and any other that
-- a default takes numbers from.
SELECT a.attname, s.seqrelid::pg_catalog.int8
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_sequence AS s ON s.seqincrement > 0
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
WHERE c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%(schema)s))
    AND c.relname = %(table)s AND a.attnum > 0 AND NOT a.attisdropped
    AND a.atttypid IN (
        'pg_catalog.int2'::pg_catalog.regtype,
        'pg_catalog.int4'::pg_catalog.regtype,
        'pg_catalog.int8'::pg_catalog.regtype
    )
    AND (
        EXISTS (
            SELECT FROM pg_catalog.pg_depend AS d
            WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = s.seqrelid
                AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
                AND d.deptype = 'i'
        )
        OR EXISTS (
            SELECT FROM pg_catalog.pg_attrdef AS f
            JOIN pg_catalog.pg_depend AS d
                ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = f.oid
            WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum
                AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                AND d.refobjid = s.seqrelid
        )
    )
