-- summary: SELECT aclexplode
-- On the relation, and on those of its columns that the one in its place has, too.
SELECT g.privilege_type, g.is_grantable, coalesce(pg_catalog.quote_ident(a.rolname), 'PUBLIC'), ''
FROM pg_catalog.pg_class AS c
CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS g
LEFT JOIN pg_catalog.pg_roles AS a ON a.oid = g.grantee
WHERE c.oid = %(before)s AND g.grantee <> c.relowner
UNION ALL
SELECT g.privilege_type, g.is_grantable, coalesce(pg_catalog.quote_ident(a.rolname), 'PUBLIC'),
    ' (' || pg_catalog.quote_ident(t.attname) || ')'
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_attribute AS t ON t.attrelid = c.oid AND NOT t.attisdropped
JOIN pg_catalog.pg_attribute AS n ON n.attrelid = %(now)s AND n.attname = t.attname AND NOT n.attisdropped
CROSS JOIN LATERAL pg_catalog.aclexplode(t.attacl) AS g
LEFT JOIN pg_catalog.pg_roles AS a ON a.oid = g.grantee
WHERE c.oid = %(before)s AND g.grantee <> c.relowner
ORDER BY 4, 3, 1
