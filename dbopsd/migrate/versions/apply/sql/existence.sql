-- summary: SELECT pg_database
-- A database that a DROP has half removed is still there, and can be dropped again.
SELECT CASE %(kind)s
    WHEN 'DATABASE' THEN EXISTS (
        SELECT FROM pg_catalog.pg_database AS d
        WHERE d.datname OPERATOR(pg_catalog.=) %(name)s::pg_catalog.name
    )
    WHEN 'TABLESPACE' THEN EXISTS (
        SELECT FROM pg_catalog.pg_tablespace AS t
        WHERE t.spcname OPERATOR(pg_catalog.=) %(name)s::pg_catalog.name
    )
    ELSE EXISTS (
        SELECT FROM pg_catalog.pg_subscription AS s
        JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) s.subdbid
        WHERE s.subname OPERATOR(pg_catalog.=) %(name)s::pg_catalog.name
            AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
    )
END
