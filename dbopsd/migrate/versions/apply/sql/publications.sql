-- summary: SELECT pg_subscription
-- How many of these publications a subscription has.
SELECT pg_catalog.count(*)
FROM pg_catalog.pg_subscription AS s
JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) s.subdbid
CROSS JOIN LATERAL pg_catalog.unnest(s.subpublications) AS p (name)
WHERE s.subname OPERATOR(pg_catalog.=) %(subscription)s::pg_catalog.name
    AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
    AND p.name OPERATOR(pg_catalog.=) ANY (%(publications)s::pg_catalog.text[])
