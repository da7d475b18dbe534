-- summary: part of SELECT objects
-- Functions, procedures, aggregates, operators and what indexes need of them, languages.
SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END AS kind,
    s.name || '.' || pg_catalog.quote_ident(p.proname)
        || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')' AS identity,
    CASE WHEN p.prokind <> 'a' THEN pg_catalog.pg_get_functiondef(p.oid) ELSE (
        SELECT pg_catalog.concat_ws(
            ' ',
            'AGGREGATE (' || pg_catalog.pg_get_function_arguments(p.oid) || ')',
            'RETURNS', pg_catalog.pg_get_function_result(p.oid),
            'KIND', a.aggkind, 'DIRECT', a.aggnumdirectargs,
            'SFUNC', a.aggtransfn::pg_catalog.regprocedure,
            'STYPE', pg_catalog.format_type(a.aggtranstype, NULL), 'SSPACE', a.aggtransspace,
            'FINALFUNC ' || nullif(a.aggfinalfn, 0)::pg_catalog.regprocedure::pg_catalog.text,
            'EXTRA', a.aggfinalextra, 'MODIFY', a.aggfinalmodify,
            'COMBINEFUNC ' || nullif(a.aggcombinefn, 0)::pg_catalog.regprocedure::pg_catalog.text,
            'SERIALFUNC ' || nullif(a.aggserialfn, 0)::pg_catalog.regprocedure::pg_catalog.text,
            'DESERIALFUNC ' || nullif(a.aggdeserialfn, 0)::pg_catalog.regprocedure::pg_catalog.text,
            'MSFUNC ' || nullif(a.aggmtransfn, 0)::pg_catalog.regprocedure::pg_catalog.text,
            'MINVFUNC ' || nullif(a.aggminvtransfn, 0)::pg_catalog.regprocedure::pg_catalog.text,
            'MSTYPE ' || nullif(a.aggmtranstype, 0)::pg_catalog.regtype::pg_catalog.text, 'MSSPACE', a.aggmtransspace,
            'MFINALFUNC ' || nullif(a.aggmfinalfn, 0)::pg_catalog.regprocedure::pg_catalog.text,
            'MEXTRA', a.aggmfinalextra, 'MMODIFY', a.aggmfinalmodify,
            'SORTOP ' || nullif(a.aggsortop, 0)::pg_catalog.regoperator::pg_catalog.text,
            'INITCOND ' || pg_catalog.quote_literal(a.agginitval),
            'MINITCOND ' || pg_catalog.quote_literal(a.aggminitval),
            'PARALLEL', p.proparallel
        )
        FROM pg_catalog.pg_aggregate AS a
        WHERE a.aggfnoid = p.oid
    ) END AS definition,
    0::pg_catalog.int8 AS position,
    p.proowner AS owner, p.proacl AS acl, 'f'::pg_catalog."char" AS acl_type,
    'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid AS classoid,
    p.oid AS objoid, 0 AS objsubid
FROM pg_catalog.pg_proc AS p
JOIN schemas AS s ON s.oid = p.pronamespace
WHERE NOT EXISTS (
        SELECT FROM members AS m
        WHERE m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND m.objid = p.oid
    )
    -- The constructors of a range type come and go with it.
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid
            AND d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.deptype = 'i'
    )

UNION ALL
SELECT 'operator',
    s.name || '.' || o.oprname || '('
        || coalesce(pg_catalog.format_type(nullif(o.oprleft, 0), NULL), 'NONE') || ','
        || pg_catalog.format_type(o.oprright, NULL) || ')',
    pg_catalog.concat_ws(
        ' ',
        'FUNCTION', o.oprcode::pg_catalog.regprocedure,
        'COMMUTATOR ' || nullif(o.oprcom, 0)::pg_catalog.regoperator::pg_catalog.text,
        'NEGATOR ' || nullif(o.oprnegate, 0)::pg_catalog.regoperator::pg_catalog.text,
        'RESTRICT ' || nullif(o.oprrest, 0)::pg_catalog.regproc::pg_catalog.text,
        'JOIN ' || nullif(o.oprjoin, 0)::pg_catalog.regproc::pg_catalog.text,
        CASE WHEN o.oprcanhash THEN 'HASHES' END, CASE WHEN o.oprcanmerge THEN 'MERGES' END
    ),
    0, o.oprowner, NULL, NULL, 'pg_catalog.pg_operator'::pg_catalog.regclass, o.oid, 0
FROM pg_catalog.pg_operator AS o
JOIN schemas AS s ON s.oid = o.oprnamespace
WHERE NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND m.objid = o.oid
)

UNION ALL
SELECT 'operator class',
    s.name || '.' || pg_catalog.quote_ident(c.opcname) || ' USING ' || pg_catalog.quote_ident(a.amname),
    pg_catalog.concat_ws(
        ' ',
        CASE WHEN c.opcdefault THEN 'DEFAULT' END,
        'FOR', pg_catalog.format_type(c.opcintype, NULL),
        'STORAGE ' || nullif(c.opckeytype, 0)::pg_catalog.regtype::pg_catalog.text,
        'FAMILY', (
            SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(f.opfname)
            FROM pg_catalog.pg_opfamily AS f
            JOIN pg_catalog.pg_namespace AS n ON n.oid = f.opfnamespace
            WHERE f.oid = c.opcfamily
        )
    ),
    0, c.opcowner, NULL, NULL, 'pg_catalog.pg_opclass'::pg_catalog.regclass, c.oid, 0
FROM pg_catalog.pg_opclass AS c
JOIN schemas AS s ON s.oid = c.opcnamespace
JOIN pg_catalog.pg_am AS a ON a.oid = c.opcmethod
WHERE NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_opclass'::pg_catalog.regclass AND m.objid = c.oid
)

UNION ALL
SELECT 'operator family',
    s.name || '.' || pg_catalog.quote_ident(f.opfname) || ' USING ' || pg_catalog.quote_ident(a.amname),
    coalesce((
        SELECT pg_catalog.string_agg(e.entry, ', ' ORDER BY e.entry COLLATE "C")
        FROM (
            SELECT pg_catalog.concat_ws(
                ' ', 'OPERATOR', o.amopstrategy, o.amopopr::pg_catalog.regoperator,
                'FOR ORDER BY ' || pg_catalog.quote_ident(n.nspname) || '.'
                || pg_catalog.quote_ident(s.opfname)
            )
            FROM pg_catalog.pg_amop AS o
            LEFT JOIN pg_catalog.pg_opfamily AS s ON s.oid = o.amopsortfamily
            LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = s.opfnamespace
            WHERE o.amopfamily = f.oid
            UNION ALL
            SELECT pg_catalog.concat_ws(
                ' ', 'FUNCTION', p.amprocnum, p.amproclefttype::pg_catalog.regtype,
                p.amprocrighttype::pg_catalog.regtype, p.amproc::pg_catalog.regprocedure
            )
            FROM pg_catalog.pg_amproc AS p
            WHERE p.amprocfamily = f.oid
        ) AS e (entry)
    ), 'EMPTY'),
    0, f.opfowner, NULL, NULL, 'pg_catalog.pg_opfamily'::pg_catalog.regclass, f.oid, 0
FROM pg_catalog.pg_opfamily AS f
JOIN schemas AS s ON s.oid = f.opfnamespace
JOIN pg_catalog.pg_am AS a ON a.oid = f.opfmethod
WHERE NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_opfamily'::pg_catalog.regclass AND m.objid = f.oid
)

UNION ALL
SELECT 'conversion', s.name || '.' || pg_catalog.quote_ident(c.conname),
    pg_catalog.concat_ws(
        ' ',
        CASE WHEN c.condefault THEN 'DEFAULT' END,
        'FOR', pg_catalog.pg_encoding_to_char(c.conforencoding),
        'TO', pg_catalog.pg_encoding_to_char(c.contoencoding),
        'FROM', c.conproc::pg_catalog.regprocedure
    ),
    0, c.conowner, NULL, NULL, 'pg_catalog.pg_conversion'::pg_catalog.regclass, c.oid, 0
FROM pg_catalog.pg_conversion AS c
JOIN schemas AS s ON s.oid = c.connamespace
WHERE NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_conversion'::pg_catalog.regclass AND m.objid = c.oid
)

UNION ALL
SELECT 'language', pg_catalog.quote_ident(l.lanname),
    pg_catalog.concat_ws(
        ' ',
        CASE WHEN l.lanpltrusted THEN 'TRUSTED' END, 'HANDLER', l.lanplcallfoid::pg_catalog.regprocedure,
        'INLINE ' || nullif(l.laninline, 0)::pg_catalog.regprocedure::pg_catalog.text,
        'VALIDATOR ' || nullif(l.lanvalidator, 0)::pg_catalog.regprocedure::pg_catalog.text
    ),
    0, l.lanowner, l.lanacl, 'l', 'pg_catalog.pg_language'::pg_catalog.regclass, l.oid, 0
FROM pg_catalog.pg_language AS l
WHERE l.oid >= 16384 AND NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_language'::pg_catalog.regclass AND m.objid = l.oid
)

UNION ALL
SELECT 'transform',
    pg_catalog.format_type(t.trftype, NULL) || ' LANGUAGE ' || pg_catalog.quote_ident(l.lanname),
    pg_catalog.concat_ws(
        ' ',
        'FROM SQL ' || nullif(t.trffromsql, 0)::pg_catalog.regprocedure::pg_catalog.text,
        'TO SQL ' || nullif(t.trftosql, 0)::pg_catalog.regprocedure::pg_catalog.text
    ),
    0, NULL, NULL, NULL, 'pg_catalog.pg_transform'::pg_catalog.regclass, t.oid, 0
FROM pg_catalog.pg_transform AS t
JOIN pg_catalog.pg_language AS l ON l.oid = t.trflang
WHERE t.oid >= 16384 AND NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_transform'::pg_catalog.regclass AND m.objid = t.oid
)

UNION ALL
SELECT 'access method', pg_catalog.quote_ident(a.amname),
    pg_catalog.concat_ws(' ', 'TYPE', a.amtype, 'HANDLER', a.amhandler::pg_catalog.regprocedure),
    0, NULL, NULL, NULL, 'pg_catalog.pg_am'::pg_catalog.regclass, a.oid, 0
FROM pg_catalog.pg_am AS a
WHERE a.oid >= 16384 AND NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_am'::pg_catalog.regclass AND m.objid = a.oid
)
