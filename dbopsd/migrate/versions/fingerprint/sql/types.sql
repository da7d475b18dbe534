-- summary: part of SELECT objects
-- Types, domains with their constraints, collations and casts.
SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END AS kind,
    s.name || '.' || pg_catalog.quote_ident(t.typname) AS identity,
    CASE
        WHEN NOT t.typisdefined THEN 'SHELL'
        WHEN t.typtype = 'e' THEN 'ENUM (' || coalesce((
            SELECT pg_catalog.string_agg(
                pg_catalog.quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder
            )
            FROM pg_catalog.pg_enum AS e
            WHERE e.enumtypid = t.oid
        ), '') || ')'
        WHEN t.typtype = 'c' THEN 'COMPOSITE'
        WHEN t.typtype = 'd' THEN pg_catalog.concat_ws(
            ' ',
            pg_catalog.format_type(t.typbasetype, t.typtypmod),
            (
                SELECT 'COLLATE ' || pg_catalog.quote_ident(n.nspname) || '.'
                    || pg_catalog.quote_ident(c.collname)
                FROM pg_catalog.pg_collation AS c
                JOIN pg_catalog.pg_namespace AS n ON n.oid = c.collnamespace
                JOIN pg_catalog.pg_type AS b ON b.oid = t.typbasetype
                WHERE c.oid = t.typcollation AND c.oid <> b.typcollation
            ),
            CASE WHEN t.typnotnull THEN 'NOT NULL' END,
            'DEFAULT ' || coalesce(pg_catalog.pg_get_expr(t.typdefaultbin, 0), t.typdefault)
        )
        WHEN t.typtype = 'r' THEN (
            SELECT pg_catalog.concat_ws(
                ' ',
                'RANGE OF', pg_catalog.format_type(g.rngsubtype, NULL),
                (
                    SELECT 'COLLATE ' || pg_catalog.quote_ident(n.nspname) || '.'
                        || pg_catalog.quote_ident(c.collname)
                    FROM pg_catalog.pg_collation AS c
                    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.collnamespace
                    WHERE c.oid = g.rngcollation
                ),
                (
                    SELECT 'SUBTYPE_OPCLASS ' || pg_catalog.quote_ident(n.nspname) || '.'
                        || pg_catalog.quote_ident(o.opcname)
                    FROM pg_catalog.pg_opclass AS o
                    JOIN pg_catalog.pg_namespace AS n ON n.oid = o.opcnamespace
                    WHERE o.oid = g.rngsubopc
                ),
                'CANONICAL ' || nullif(g.rngcanonical::pg_catalog.text, '-'),
                'SUBTYPE_DIFF ' || nullif(g.rngsubdiff::pg_catalog.text, '-'),
                'MULTIRANGE ' || pg_catalog.format_type(g.rngmultitypid, NULL)
            )
            FROM pg_catalog.pg_range AS g
            WHERE g.rngtypid = t.oid
        )
        ELSE pg_catalog.concat_ws(
            ' ',
            'BASE INPUT', t.typinput, 'OUTPUT', t.typoutput, 'RECEIVE', t.typreceive,
            'SEND', t.typsend, 'TYPMOD_IN', t.typmodin, 'TYPMOD_OUT', t.typmodout,
            'ANALYZE', t.typanalyze, 'SUBSCRIPT', t.typsubscript, 'LENGTH', t.typlen,
            'BY VALUE', t.typbyval, 'ALIGNMENT', t.typalign, 'STORAGE', t.typstorage,
            'CATEGORY', t.typcategory, 'PREFERRED', t.typispreferred, 'DELIMITER', t.typdelim,
            'ELEMENT ' || nullif(t.typelem, 0)::pg_catalog.regtype::pg_catalog.text, 'COLLATABLE', t.typcollation <> 0,
            'DEFAULT ' || t.typdefault
        )
    END AS definition,
    0::pg_catalog.int8 AS position,
    t.typowner AS owner, t.typacl AS acl, 'T'::pg_catalog."char" AS acl_type,
    'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid AS classoid,
    t.oid AS objoid, 0 AS objsubid
FROM pg_catalog.pg_type AS t
JOIN schemas AS s ON s.oid = t.typnamespace
WHERE t.typtype <> 'm'
    AND (t.typrelid = 0 OR t.typrelid IN (SELECT r.oid FROM relations AS r WHERE r.relkind = 'c'))
    -- The array types of others; that of an element is never 0.
    AND t.oid NOT IN (SELECT a.typarray FROM pg_catalog.pg_type AS a)
    AND NOT EXISTS (
        SELECT FROM members AS m
        WHERE m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND m.objid = t.oid
    )

UNION ALL
SELECT 'constraint',
    s.name || '.' || pg_catalog.quote_ident(t.typname) || '.' || pg_catalog.quote_ident(k.conname),
    pg_catalog.pg_get_constraintdef(k.oid),
    0, NULL, NULL, NULL, 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 0
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_type AS t ON t.oid = k.contypid
JOIN schemas AS s ON s.oid = t.typnamespace
WHERE k.contype = 'c' AND NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND m.objid = t.oid
)

UNION ALL
-- Columns of the catalog differ between majors.
SELECT 'collation', s.name || '.' || pg_catalog.quote_ident(c.collname),
    pg_catalog.concat_ws(
        ' ',
        'PROVIDER', c.collprovider,
        'LC_COLLATE ' || c.collcollate, 'LC_CTYPE ' || c.collctype,
        'LOCALE ' || coalesce(j.facts ->> 'colllocale', j.facts ->> 'colliculocale'),
        'RULES ' || (j.facts ->> 'collicurules'),
        CASE WHEN NOT c.collisdeterministic THEN 'NOT DETERMINISTIC' END
    ),
    0, c.collowner, NULL, NULL, 'pg_catalog.pg_collation'::pg_catalog.regclass, c.oid, 0
FROM pg_catalog.pg_collation AS c
JOIN schemas AS s ON s.oid = c.collnamespace
CROSS JOIN LATERAL (SELECT pg_catalog.to_jsonb(c)) AS j (facts)
WHERE NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_collation'::pg_catalog.regclass AND m.objid = c.oid
)

UNION ALL
SELECT 'cast',
    pg_catalog.format_type(c.castsource, NULL) || ' AS ' || pg_catalog.format_type(c.casttarget, NULL),
    pg_catalog.concat_ws(
        ' ',
        CASE c.castmethod
            WHEN 'b' THEN 'WITHOUT FUNCTION' WHEN 'i' THEN 'WITH INOUT'
            ELSE 'WITH FUNCTION ' || c.castfunc::pg_catalog.regprocedure::pg_catalog.text END,
        CASE c.castcontext WHEN 'a' THEN 'AS ASSIGNMENT' WHEN 'i' THEN 'AS IMPLICIT' END
    ),
    0, NULL, NULL, NULL, 'pg_catalog.pg_cast'::pg_catalog.regclass, c.oid, 0
FROM pg_catalog.pg_cast AS c
-- Oids below this are of objects that initdb made.
WHERE c.oid >= 16384 AND NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass AND m.objid = c.oid
)
