--- Likewise, of what there is since PostgreSQL 18.

-- column: app.posts.fresh
ALTER TABLE app.posts ADD fresh integer GENERATED ALWAYS AS (length(body)) VIRTUAL;

-- column: app.posts.body
ALTER TABLE app.posts ADD CONSTRAINT n NOT NULL body NOT VALID;

-- constraint: app.posts.fresh
ALTER TABLE app.posts ADD CONSTRAINT fresh CHECK (body <> 'x') NOT ENFORCED;

-- constraint: app.fresh.fresh_pkey
CREATE TABLE app.fresh (a int4range, b tstzrange, PRIMARY KEY (a, b WITHOUT OVERLAPS));

-- publication: parts
ALTER PUBLICATION parts SET (publish_generated_columns = stored);
