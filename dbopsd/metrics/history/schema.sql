-- The history of metrics. Ticks are written to `head` as they come; once an hour is over, its
-- samples become a chunk a series, and chunks of minutes and hours beside it.
CREATE TABLE database (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    database INTEGER NOT NULL REFERENCES database,
    metric TEXT NOT NULL,
    type TEXT NOT NULL,
    unit TEXT NOT NULL,
    -- A JSON object, its names in the order of the metric's labels.
    labels TEXT NOT NULL,
    -- The last hour with samples, in hours since 1970.
    last_hour INTEGER NOT NULL,
    UNIQUE (database, metric, labels)
) STRICT;

-- The series that one run of a collector gave, 64 bits each: ticks with the same ones share it.
CREATE TABLE layout (
    id INTEGER PRIMARY KEY,
    series BLOB NOT NULL UNIQUE,
    last_hour INTEGER NOT NULL
) STRICT;

CREATE TABLE head (
    id INTEGER PRIMARY KEY,
    database INTEGER NOT NULL REFERENCES database,
    at_ms INTEGER NOT NULL,
    segments BLOB NOT NULL
) STRICT;
CREATE INDEX head_at ON head (database, at_ms);

-- `key` packs the resolution, the span of time and the series: what is of one time stands
-- together and goes together.
CREATE TABLE chunk (
    key INTEGER PRIMARY KEY,
    samples BLOB NOT NULL
) STRICT;
