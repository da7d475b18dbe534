-- summary: INSERT schema_objects
-- Only what differs is written: most migrations change few of thousands of objects.
WITH wanted AS MATERIALIZED (
    SELECT w.kind, w.identity, w.definition, w.position, w.owner_and_grants
    FROM pg_catalog.json_to_recordset(%(objects)s::pg_catalog.json) AS w (
        kind pg_catalog.text, identity pg_catalog.text, definition pg_catalog.text,
        position pg_catalog.int4, owner_and_grants pg_catalog.text
    )
), removed AS (
    DELETE FROM {schema_objects} AS o
    WHERE NOT EXISTS (
        SELECT FROM wanted AS w
        WHERE w.kind = o.kind AND w.identity = o.identity AND w.definition = o.definition
            AND w.position = o.position AND w.owner_and_grants = o.owner_and_grants
    )
)
INSERT INTO {schema_objects} (kind, identity, definition, position, owner_and_grants)
SELECT w.kind, w.identity, w.definition, w.position, w.owner_and_grants
FROM wanted AS w
WHERE NOT EXISTS (
    SELECT FROM {schema_objects} AS o
    WHERE w.kind = o.kind AND w.identity = o.identity AND w.definition = o.definition
        AND w.position = o.position AND w.owner_and_grants = o.owner_and_grants
)
