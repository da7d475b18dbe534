-- summary: SELECT pg_depend of definitions
-- What the definitions of an import's own tables and views (by oid) use that is neither the import's
-- own nor a function of pg_catalog that it may call: what uses it, and what that is. Triggers are
-- none of these: no import creates any, but a database's event trigger may, as for an audit.
-- PostgreSQL does not record that something depends on what came with initdb, as on pg_authid. So
-- the definitions themselves are read, too. In their text a name or a value cannot look like a field:
-- blanks are escaped in names, and values are bytes.
WITH own AS (
    SELECT c.oid, c.relname FROM pg_catalog.pg_class AS c
    WHERE c.oid = ANY (%(relations)s::pg_catalog.oid[])
), own_parts AS (
    SELECT oid FROM own
    UNION ALL
    SELECT i.indexrelid FROM pg_catalog.pg_index AS i WHERE i.indrelid IN (SELECT oid FROM own)
    UNION ALL
    SELECT d.objid
    FROM pg_catalog.pg_depend AS d
    JOIN pg_catalog.pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.refobjid IN (SELECT oid FROM own)
), definitions AS (
    SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid AS class, r.oid AS id,
        o.relname AS of, CASE WHEN r.rulename = '_RETURN' THEN 'view' ELSE 'rule' END AS kind,
        r.ev_action::pg_catalog.text AS tree
    FROM pg_catalog.pg_rewrite AS r JOIN own AS o ON o.oid = r.ev_class
    UNION ALL
    SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, o.relname, 'constraint',
        coalesce(k.conbin::pg_catalog.text, '')
    FROM pg_catalog.pg_constraint AS k JOIN own AS o ON o.oid = k.conrelid
    UNION ALL
    SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass, a.oid, o.relname, 'default',
        a.adbin::pg_catalog.text
    FROM pg_catalog.pg_attrdef AS a JOIN own AS o ON o.oid = a.adrelid
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid, o.relname, 'index',
        coalesce(i.indexprs::pg_catalog.text, '') || ' ' || coalesce(i.indpred::pg_catalog.text, '')
    FROM pg_catalog.pg_index AS i JOIN own AS o ON o.oid = i.indrelid
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, o.oid, o.relname, 'table', ''
    FROM own AS o
), fields AS (
    SELECT d.kind, d.of, f.found[1] AS name, f.found[2]::pg_catalog.oid AS id
    FROM definitions AS d
    CROSS JOIN LATERAL pg_catalog.regexp_matches(
        d.tree, ':(relid|funcid|aggfnoid|winfnoid|opno|eqop|sortop) (\d+)', 'g'
    ) AS f (found)
    WHERE f.found[2] <> '0'
)
SELECT f.kind || ' of ' || pg_catalog.quote_ident(f.of) AS object,
    'relation ' || f.id::pg_catalog.regclass AS dependency
FROM fields AS f
WHERE f.name = 'relid' AND f.id NOT IN (SELECT oid FROM own)
UNION
SELECT f.kind || ' of ' || pg_catalog.quote_ident(f.of), 'function ' || f.id::pg_catalog.regprocedure
FROM fields AS f
LEFT JOIN pg_catalog.pg_proc AS p
    ON p.oid = f.id AND p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
WHERE f.name IN ('funcid', 'aggfnoid', 'winfnoid')
    AND (
        p.oid IS NULL
        OR p.proname <> ALL (%(functions)s::pg_catalog.text[])
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_cast AS c WHERE c.castfunc = p.oid)
    )
UNION
SELECT f.kind || ' of ' || pg_catalog.quote_ident(f.of), 'operator ' || f.id::pg_catalog.regoperator
FROM fields AS f
LEFT JOIN pg_catalog.pg_operator AS o
    ON o.oid = f.id AND o.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace
WHERE f.name IN ('opno', 'eqop', 'sortop') AND o.oid IS NULL
UNION
SELECT n.kind || ' of ' || pg_catalog.quote_ident(n.of),
    pg_catalog.pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
FROM definitions AS n
JOIN pg_catalog.pg_depend AS d ON d.classid = n.class AND d.objid = n.id
WHERE d.refclassid <> 'pg_catalog.pg_namespace'::pg_catalog.regclass
    AND NOT (
        d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.refobjid IN (SELECT oid FROM own_parts)
    )
    AND NOT (
        d.refclassid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
        AND EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS k
            WHERE k.oid = d.refobjid AND k.conrelid IN (SELECT oid FROM own)
        )
    )
    AND NOT (
        d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
        AND EXISTS (
            SELECT FROM pg_catalog.pg_type AS t
            WHERE t.oid = d.refobjid AND t.typrelid IN (SELECT oid FROM own)
        )
    )
UNION
SELECT 'table ' || pg_catalog.quote_ident(n.of), 'a rule of its own'
FROM definitions AS n
WHERE n.kind = 'rule'
ORDER BY 1, 2
