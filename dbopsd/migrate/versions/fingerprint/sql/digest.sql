-- summary: SELECT pg_catalog digest
-- The order of rows does not count in a sum: nothing is sorted. Of two hashes an accident makes both equal only
-- once in 2^128.
SELECT pg_catalog.concat_ws(
    ' ', pg_catalog.count(*),
    pg_catalog.sum(pg_catalog.hashtextextended(r.object, 0)),
    pg_catalog.sum(pg_catalog.hashtextextended(r.object, 1))
)
FROM (
    SELECT pg_catalog.concat_ws(
        pg_catalog.chr(31), o.kind, o.identity, coalesce(o.definition, ''), o.position, o.owner_and_grants
    )
    FROM objects AS o (kind, identity, definition, position, owner_and_grants)
) AS r (object)
