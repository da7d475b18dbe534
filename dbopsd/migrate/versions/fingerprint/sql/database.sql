-- summary: part of SELECT objects
-- What belongs to the database as a whole: schemas, extensions, event triggers, foreign servers,
-- replication, default privileges. What is nothing but privileges has no definition.
SELECT 'schema' AS kind, s.name AS identity, 'SCHEMA' AS definition,
    0::pg_catalog.int8 AS position,
    s.nspowner AS owner, s.nspacl AS acl, 'n'::pg_catalog."char" AS acl_type,
    'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid AS classoid,
    s.oid AS objoid, 0 AS objsubid
FROM schemas AS s
WHERE (s.nspname <> %(ledger_schema)s OR s.nspname = 'public')
    -- That of other migration tools.
    AND s.nspname NOT IN ('atlas_schema_revisions', 'drizzle')
    AND NOT EXISTS (
        SELECT FROM members AS m
        WHERE m.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND m.objid = s.oid
    )

UNION ALL
-- Its version depends on what the server has.
SELECT 'extension', pg_catalog.quote_ident(e.extname),
    'SCHEMA ' || pg_catalog.quote_ident(n.nspname),
    0, e.extowner, NULL, NULL, 'pg_catalog.pg_extension'::pg_catalog.regclass, e.oid, 0
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace

UNION ALL
SELECT 'event trigger', pg_catalog.quote_ident(t.evtname),
    pg_catalog.concat_ws(
        ' ',
        'ON', t.evtevent,
        'WHEN TAG IN (' || (
            SELECT pg_catalog.string_agg(u.tag, ', ' ORDER BY u.tag COLLATE "C")
            FROM pg_catalog.unnest(t.evttags) AS u (tag)
        ) || ')',
        'EXECUTE FUNCTION', t.evtfoid::pg_catalog.regprocedure,
        CASE t.evtenabled
            WHEN 'D' THEN 'DISABLED' WHEN 'R' THEN 'ENABLED FOR REPLICA'
            WHEN 'A' THEN 'ENABLED ALWAYS' END
    ),
    0, t.evtowner, NULL, NULL, 'pg_catalog.pg_event_trigger'::pg_catalog.regclass, t.oid, 0
FROM pg_catalog.pg_event_trigger AS t
WHERE NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass AND m.objid = t.oid
)

UNION ALL
SELECT 'foreign data wrapper', pg_catalog.quote_ident(w.fdwname),
    pg_catalog.concat_ws(
        ' ',
        'HANDLER ' || nullif(w.fdwhandler, 0)::pg_catalog.regprocedure::pg_catalog.text,
        'VALIDATOR ' || nullif(w.fdwvalidator, 0)::pg_catalog.regprocedure::pg_catalog.text,
        'OPTIONS (' || (
            SELECT pg_catalog.string_agg(o.o, ', ' ORDER BY o.o COLLATE "C")
            FROM pg_catalog.unnest(w.fdwoptions) AS o (o)
        ) || ')'
    ),
    0, w.fdwowner, w.fdwacl, 'F', 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass, w.oid, 0
FROM pg_catalog.pg_foreign_data_wrapper AS w
WHERE NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass AND m.objid = w.oid
)

UNION ALL
SELECT 'foreign server', pg_catalog.quote_ident(v.srvname),
    pg_catalog.concat_ws(
        ' ',
        'TYPE ' || pg_catalog.quote_literal(v.srvtype), 'VERSION ' || pg_catalog.quote_literal(v.srvversion),
        'FOREIGN DATA WRAPPER', (
            SELECT pg_catalog.quote_ident(w.fdwname)
            FROM pg_catalog.pg_foreign_data_wrapper AS w
            WHERE w.oid = v.srvfdw
        ),
        'OPTIONS (' || (
            SELECT pg_catalog.string_agg(o.o, ', ' ORDER BY o.o COLLATE "C")
            FROM pg_catalog.unnest(v.srvoptions) AS o (o)
        ) || ')'
    ),
    0, v.srvowner, v.srvacl, 'S', 'pg_catalog.pg_foreign_server'::pg_catalog.regclass, v.oid, 0
FROM pg_catalog.pg_foreign_server AS v
WHERE NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_foreign_server'::pg_catalog.regclass AND m.objid = v.oid
)

UNION ALL
-- Its options have passwords, and few roles may see them.
SELECT 'user mapping',
    pg_catalog.quote_ident(u.srvname) || '.'
        || CASE u.umuser WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(u.usename) END,
    '',
    0, NULL, NULL, NULL, 'pg_catalog.pg_user_mapping'::pg_catalog.regclass, u.umid, 0
FROM pg_catalog.pg_user_mappings AS u

UNION ALL
SELECT 'publication', pg_catalog.quote_ident(p.pubname),
    pg_catalog.concat_ws(
        ' ',
        CASE WHEN p.puballtables THEN 'FOR ALL TABLES' END,
        (
            SELECT pg_catalog.string_agg(x.entry, ', ' ORDER BY x.entry COLLATE "C")
            FROM (
                SELECT pg_catalog.concat_ws(
                    ' ',
                    'TABLE', r.prrelid::pg_catalog.regclass,
                    '(' || (
                        SELECT pg_catalog.string_agg(
                            pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attname COLLATE "C"
                        )
                        FROM pg_catalog.pg_attribute AS a
                        WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)
                    ) || ')',
                    'WHERE ' || pg_catalog.pg_get_expr(r.prqual, r.prrelid)
                )
                FROM pg_catalog.pg_publication_rel AS r
                WHERE r.prpubid = p.oid
                UNION ALL
                SELECT 'TABLES IN SCHEMA ' || n.pnnspid::pg_catalog.regnamespace::pg_catalog.text
                FROM pg_catalog.pg_publication_namespace AS n
                WHERE n.pnpubid = p.oid
            ) AS x (entry)
        ),
        'PUBLISH', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
        CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END,
        CASE WHEN p.pubviaroot THEN 'VIA PARTITION ROOT' END,
        CASE pg_catalog.to_jsonb(p) ->> 'pubgencols' WHEN 's' THEN 'GENERATED COLUMNS STORED' END
    ),
    0, p.pubowner, NULL, NULL, 'pg_catalog.pg_publication'::pg_catalog.regclass, p.oid, 0
FROM pg_catalog.pg_publication AS p
WHERE NOT EXISTS (
    SELECT FROM members AS m
    WHERE m.classid = 'pg_catalog.pg_publication'::pg_catalog.regclass AND m.objid = p.oid
)

UNION ALL
-- Where it connects to, only superusers may see. The server disables one that fails, where it is to.
SELECT 'subscription', pg_catalog.quote_ident(b.subname),
    'PUBLICATION ' || coalesce((
        SELECT pg_catalog.string_agg(pg_catalog.quote_ident(u.name), ', ' ORDER BY u.name COLLATE "C")
        FROM pg_catalog.unnest(b.subpublications) AS u (name)
    ), ''),
    0, b.subowner, NULL, NULL, 'pg_catalog.pg_subscription'::pg_catalog.regclass, b.oid, 0
FROM pg_catalog.pg_subscription AS b
WHERE b.subdbid = (
    SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()
)

UNION ALL
SELECT 'default privileges',
    pg_catalog.concat_ws(
        ' ',
        pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(d.defaclrole)),
        'IN SCHEMA ' || s.name,
        'ON', CASE d.defaclobjtype
            WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES'
            WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END
    ),
    '',
    -- Those of a schema add to none, the others replace what is built in.
    0, d.defaclrole, d.defaclacl,
    CASE WHEN d.defaclnamespace = 0 THEN
        CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END END,
    'pg_catalog.pg_default_acl'::pg_catalog.regclass, d.oid, 0
FROM pg_catalog.pg_default_acl AS d
LEFT JOIN schemas AS s ON s.oid = d.defaclnamespace
WHERE d.defaclnamespace = 0 OR s.oid IS NOT NULL
