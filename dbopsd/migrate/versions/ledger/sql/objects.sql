-- summary: SELECT schema_objects
SELECT o.kind, o.identity, o.definition, o.position, o.owner_and_grants FROM {schema_objects} AS o
