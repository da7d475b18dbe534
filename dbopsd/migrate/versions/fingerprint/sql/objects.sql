-- summary: SELECT pg_catalog objects
-- One row for each object of `found`, each comment and each security label. Privileges are those
-- that differ from what an object of the kind has when nobody granted or revoked anything.
-- What was dropped since the query began has `???` for its definition, as `format_type` writes it.
SELECT f.kind, f.identity, f.definition, f.position,
    pg_catalog.concat_ws(
        '; ',
        'OWNER ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(f.owner)),
        CASE WHEN f.acl IS NOT NULL THEN (
            SELECT pg_catalog.string_agg(g.entry, '; ' ORDER BY g.entry COLLATE "C")
            FROM (
                SELECT pg_catalog.concat(
                    x.change, ' ', x.privilege,
                    CASE x.change WHEN 'GRANT' THEN ' TO ' ELSE ' FROM ' END,
                    CASE x.grantee WHEN 0 THEN 'PUBLIC'
                        ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END,
                    CASE WHEN x.grantable THEN ' WITH GRANT OPTION' END
                )
                FROM (
                    (
                        SELECT 'GRANT', a.privilege_type, a.grantee, a.is_grantable
                        FROM pg_catalog.aclexplode(f.acl) AS a
                        EXCEPT
                        SELECT 'GRANT', a.privilege_type, a.grantee, a.is_grantable
                        FROM pg_catalog.aclexplode(pg_catalog.acldefault(f.acl_type, f.owner)) AS a
                    )
                    UNION ALL
                    (
                        SELECT 'REVOKE', a.privilege_type, a.grantee, a.is_grantable
                        FROM pg_catalog.aclexplode(pg_catalog.acldefault(f.acl_type, f.owner)) AS a
                        EXCEPT
                        SELECT 'REVOKE', a.privilege_type, a.grantee, a.is_grantable
                        FROM pg_catalog.aclexplode(f.acl) AS a
                    )
                ) AS x (change, privilege, grantee, grantable)
            ) AS g (entry)
        ) END
    ) AS owner_and_grants
FROM found AS f

UNION ALL
SELECT 'comment', f.kind || ' ' || f.identity, d.description, 0, ''
FROM found AS f
JOIN pg_catalog.pg_description AS d
    ON d.objoid = f.objoid AND d.classoid = f.classoid AND d.objsubid = f.objsubid
-- Of what initdb made, which is most, these alone are looked at.
WHERE d.objoid >= 16384 OR d.classoid IN (
    'pg_catalog.pg_namespace'::pg_catalog.regclass, 'pg_catalog.pg_extension'::pg_catalog.regclass
)

UNION ALL
SELECT 'security label', f.kind || ' ' || f.identity || ' FOR ' || pg_catalog.quote_ident(l.provider),
    l.label, 0, ''
FROM found AS f
JOIN pg_catalog.pg_seclabel AS l
    ON l.objoid = f.objoid AND l.classoid = f.classoid AND l.objsubid = f.objsubid
