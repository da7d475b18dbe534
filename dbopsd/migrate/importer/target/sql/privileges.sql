-- summary: SELECT aclexplode
SELECT g.privilege_type, g.is_grantable, coalesce(quote_ident(a.rolname), 'PUBLIC')
FROM pg_class AS c
CROSS JOIN LATERAL aclexplode(c.relacl) AS g
LEFT JOIN pg_roles AS a ON a.oid = g.grantee
WHERE c.oid = %s AND g.grantee <> c.relowner
ORDER BY 3, 1
