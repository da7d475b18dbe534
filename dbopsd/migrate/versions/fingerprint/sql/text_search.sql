-- summary: part of SELECT objects
-- Text search: configurations with their mappings, dictionaries, parsers and templates.
SELECT 'text search configuration' AS kind,
    s.name || '.' || pg_catalog.quote_ident(c.cfgname) AS identity,
    pg_catalog.concat_ws(
        ' ',
        'PARSER', (
            SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.prsname)
            FROM pg_catalog.pg_ts_parser AS p
            JOIN pg_catalog.pg_namespace AS n ON n.oid = p.prsnamespace
            WHERE p.oid = c.cfgparser
        ),
        (
            SELECT pg_catalog.string_agg(
                'TOKEN ' || m.maptokentype || ' ' || m.mapdict::pg_catalog.regdictionary::pg_catalog.text,
                ', ' ORDER BY m.maptokentype, m.mapseqno
            )
            FROM pg_catalog.pg_ts_config_map AS m
            WHERE m.mapcfg = c.oid
        )
    ) AS definition,
    0::pg_catalog.int8 AS position,
    c.cfgowner AS owner, NULL::pg_catalog.aclitem[] AS acl, NULL::pg_catalog."char" AS acl_type,
    'pg_catalog.pg_ts_config'::pg_catalog.regclass::pg_catalog.oid AS classoid,
    c.oid AS objoid, 0 AS objsubid
FROM pg_catalog.pg_ts_config AS c
JOIN schemas AS s ON s.oid = c.cfgnamespace
WHERE NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_ts_config'::pg_catalog.regclass AND m.objid = c.oid
)

UNION ALL
SELECT 'text search dictionary', s.name || '.' || pg_catalog.quote_ident(d.dictname),
    pg_catalog.concat_ws(
        ' ',
        'TEMPLATE', (
            SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.tmplname)
            FROM pg_catalog.pg_ts_template AS t
            JOIN pg_catalog.pg_namespace AS n ON n.oid = t.tmplnamespace
            WHERE t.oid = d.dicttemplate
        ),
        d.dictinitoption
    ),
    0, d.dictowner, NULL, NULL, 'pg_catalog.pg_ts_dict'::pg_catalog.regclass, d.oid, 0
FROM pg_catalog.pg_ts_dict AS d
JOIN schemas AS s ON s.oid = d.dictnamespace
WHERE NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_ts_dict'::pg_catalog.regclass AND m.objid = d.oid
)

UNION ALL
SELECT 'text search parser', s.name || '.' || pg_catalog.quote_ident(p.prsname),
    pg_catalog.concat_ws(
        ' ', 'START', p.prsstart, 'GETTOKEN', p.prstoken, 'END', p.prsend,
        'HEADLINE', p.prsheadline, 'LEXTYPES', p.prslextype
    ),
    0, NULL, NULL, NULL, 'pg_catalog.pg_ts_parser'::pg_catalog.regclass, p.oid, 0
FROM pg_catalog.pg_ts_parser AS p
JOIN schemas AS s ON s.oid = p.prsnamespace
WHERE NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_ts_parser'::pg_catalog.regclass AND m.objid = p.oid
)

UNION ALL
SELECT 'text search template', s.name || '.' || pg_catalog.quote_ident(t.tmplname),
    pg_catalog.concat_ws(' ', 'INIT', t.tmplinit, 'LEXIZE', t.tmpllexize),
    0, NULL, NULL, NULL, 'pg_catalog.pg_ts_template'::pg_catalog.regclass, t.oid, 0
FROM pg_catalog.pg_ts_template AS t
JOIN schemas AS s ON s.oid = t.tmplnamespace
WHERE NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_ts_template'::pg_catalog.regclass AND m.objid = t.oid
)
