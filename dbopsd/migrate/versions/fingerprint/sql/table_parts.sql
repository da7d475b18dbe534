-- summary: part of SELECT objects
-- What belongs to a table: indexes, constraints, triggers, rules, policies; and statistics.
SELECT 'index' AS kind, s.name || '.' || pg_catalog.quote_ident(c.relname) AS identity,
    pg_catalog.concat_ws(
        ' ',
        coalesce(pg_catalog.pg_get_indexdef(c.oid), '???'),
        CASE WHEN NOT i.indisvalid THEN 'INVALID' END,
        CASE WHEN NOT i.indisready THEN 'NOT READY' END,
        CASE WHEN i.indisclustered THEN 'CLUSTERED' END,
        CASE WHEN i.indisreplident THEN 'REPLICA IDENTITY' END,
        CASE WHEN NOT i.indimmediate THEN 'DEFERRABLE' END,
        CASE WHEN c.relispartition THEN (
            SELECT 'PARTITION OF ' || h.inhparent::pg_catalog.regclass::pg_catalog.text
            FROM pg_catalog.pg_inherits AS h
            WHERE h.inhrelid = c.oid
        ) END,
        CASE WHEN c.reltablespace <> 0 THEN (
            SELECT 'TABLESPACE ' || pg_catalog.quote_ident(t.spcname)
            FROM pg_catalog.pg_tablespace AS t
            WHERE t.oid = c.reltablespace
        ) END,
        CASE WHEN i.indexprs IS NOT NULL THEN (
            SELECT 'STATISTICS ' || pg_catalog.string_agg(
                a.attnum || ': ' || a.attstattarget, ', ' ORDER BY a.attnum
            )
            FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attstattarget >= 0
        ) END
    ) AS definition,
    0::pg_catalog.int8 AS position,
    NULL::pg_catalog.oid AS owner, NULL::pg_catalog.aclitem[] AS acl,
    NULL::pg_catalog."char" AS acl_type,
    'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid AS classoid,
    c.oid AS objoid, 0 AS objsubid
FROM relations AS r
JOIN pg_catalog.pg_index AS i ON i.indrelid = r.oid
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN schemas AS s ON s.oid = c.relnamespace

UNION ALL
-- The copies of a foreign key that partitions have, by names that the server makes up, follow from
-- the one of the whole table. NOT NULL is said of the column.
SELECT 'constraint', r.identity || '.' || pg_catalog.quote_ident(k.conname),
    pg_catalog.concat_ws(
        ' ',
        coalesce(pg_catalog.pg_get_constraintdef(k.oid), '???'),
        CASE WHEN NOT k.conislocal AND k.contype IN ('c', 'p', 'u', 'x') THEN 'INHERITED' END,
        CASE WHEN k.contype = 'f' AND EXISTS (
            SELECT FROM pg_catalog.pg_trigger AS t
            WHERE t.tgconstraint = k.oid AND t.tgenabled <> 'O'
        ) THEN 'TRIGGERS DISABLED' END
    ),
    0, NULL, NULL, NULL, 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 0
FROM relations AS r
JOIN pg_catalog.pg_constraint AS k ON k.conrelid = r.oid
WHERE k.contype IN ('c', 'p', 'u', 'x') OR k.contype = 'f' AND k.conparentid = 0

UNION ALL
SELECT 'trigger', r.identity || '.' || pg_catalog.quote_ident(t.tgname),
    pg_catalog.concat_ws(
        ' ',
        coalesce(pg_catalog.pg_get_triggerdef(t.oid), '???'),
        CASE t.tgenabled
            WHEN 'D' THEN 'DISABLED' WHEN 'R' THEN 'ENABLED FOR REPLICA'
            WHEN 'A' THEN 'ENABLED ALWAYS' END
    ),
    0, NULL, NULL, NULL, 'pg_catalog.pg_trigger'::pg_catalog.regclass, t.oid, 0
FROM relations AS r
JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = r.oid
WHERE NOT t.tgisinternal

UNION ALL
SELECT 'rule', r.identity || '.' || pg_catalog.quote_ident(w.rulename),
    pg_catalog.concat_ws(
        ' ',
        coalesce(pg_catalog.pg_get_ruledef(w.oid), '???'),
        CASE w.ev_enabled
            WHEN 'D' THEN 'DISABLED' WHEN 'R' THEN 'ENABLED FOR REPLICA'
            WHEN 'A' THEN 'ENABLED ALWAYS' END
    ),
    0, NULL, NULL, NULL, 'pg_catalog.pg_rewrite'::pg_catalog.regclass, w.oid, 0
FROM relations AS r
JOIN pg_catalog.pg_rewrite AS w ON w.ev_class = r.oid
WHERE w.ev_type <> '1'

UNION ALL
SELECT 'policy', r.identity || '.' || pg_catalog.quote_ident(p.polname),
    pg_catalog.concat_ws(
        ' ',
        CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
        'FOR', CASE p.polcmd
            WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
            WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
        'TO', (
            SELECT pg_catalog.string_agg(x.name, ', ' ORDER BY x.name COLLATE "C")
            FROM (
                SELECT CASE u.role WHEN 0 THEN 'PUBLIC' ELSE
                    pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(u.role)) END
                FROM pg_catalog.unnest(p.polroles) AS u (role)
            ) AS x (name)
        ),
        'USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
        'WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')'
    ),
    0, NULL, NULL, NULL, 'pg_catalog.pg_policy'::pg_catalog.regclass, p.oid, 0
FROM relations AS r
JOIN pg_catalog.pg_policy AS p ON p.polrelid = r.oid

UNION ALL
SELECT 'statistics', s.name || '.' || pg_catalog.quote_ident(x.stxname),
    pg_catalog.concat_ws(
        ' ',
        coalesce(pg_catalog.pg_get_statisticsobjdef(x.oid), '???'),
        CASE WHEN x.stxstattarget >= 0 THEN 'STATISTICS ' || x.stxstattarget END
    ),
    0, x.stxowner, NULL, NULL, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, x.oid, 0
FROM relations AS r
JOIN pg_catalog.pg_statistic_ext AS x ON x.stxrelid = r.oid
JOIN schemas AS s ON s.oid = x.stxnamespace
