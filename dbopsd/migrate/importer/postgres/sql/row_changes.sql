-- summary: SELECT pg_stat_get_xact_tuples_updated
-- To how many rows of each table the transaction has done something, itself or by what foreign keys
-- do; but for the catalog. What partitions have is counted for the tables given (by oid), or else for
-- what they are partitions of. Nothing while `track_counts` is off.
WITH trees AS (
    SELECT t.oid AS root, p.relid::pg_catalog.oid AS relid
    FROM pg_catalog.unnest(%(tables)s::pg_catalog.oid[]) AS t (oid) CROSS JOIN LATERAL pg_catalog.pg_partition_tree(t.oid) AS p
), counted AS (
    SELECT coalesce(
            (SELECT pg_catalog.min(root) FROM trees WHERE relid = c.oid), pg_catalog.pg_partition_root(c.oid), c.oid
        ) AS oid,
        pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) AS updated,
        pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) AS deleted
    FROM pg_catalog.pg_class AS c
    WHERE c.relkind = 'r' AND c.relnamespace <> 'pg_catalog'::pg_catalog.regnamespace
        AND pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) + pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) > 0
)
SELECT oid::pg_catalog.int8 AS oid,
    (pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, oid, 0)).identity AS name,
    pg_catalog.sum(updated)::pg_catalog.int8 AS updated, pg_catalog.sum(deleted)::pg_catalog.int8 AS deleted
FROM counted GROUP BY oid
