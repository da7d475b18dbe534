-- summary: SELECT pg_database transaction id age
SELECT datname, pg_catalog.age(datfrozenxid) AS xid_age, pg_catalog.mxid_age(datminmxid) AS mxid_age
FROM pg_catalog.pg_database
ORDER BY greatest(pg_catalog.age(datfrozenxid), pg_catalog.mxid_age(datminmxid)) DESC
LIMIT 1
