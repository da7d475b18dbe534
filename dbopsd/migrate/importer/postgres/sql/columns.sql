-- summary: SELECT pg_attribute
SELECT c.relname AS relation, a.attname AS name,
    pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
    a.attnotnull AS not_null,
    NOT a.attnotnull OR a.atthasdef OR a.attidentity <> '' AS fills_itself,
    a.attgenerated <> '' AS generated,
    a.attidentity <> '' OR EXISTS (
        SELECT FROM pg_catalog.pg_attrdef AS f
        JOIN pg_catalog.pg_depend AS d
            ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = f.oid
        JOIN pg_catalog.pg_sequence AS s
            ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = s.seqrelid
        WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum
    ) AS numbered
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
WHERE c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%s))
    AND c.relname = ANY (%s)
    AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
