-- The history of metrics. Samples are written to `head` as they come; once an hour is over, they
-- become a chunk a series, and chunks of minutes and hours beside it.
CREATE TABLE database (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE series (
    -- Never used again, or a series could get what is left of a deleted one.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    database INTEGER NOT NULL REFERENCES database,
    collector TEXT NOT NULL,
    metric TEXT NOT NULL,
    type TEXT NOT NULL,
    unit TEXT NOT NULL,
    -- A JSON object, its names in the order of the metric's labels.
    labels TEXT NOT NULL,
    -- The first and the last hour with samples, in hours since 1970.
    first_hour INTEGER NOT NULL,
    last_hour INTEGER NOT NULL,
    UNIQUE (database, metric, labels)
) STRICT;
CREATE INDEX series_last_hour ON series (last_hour);

-- The series that one run of a collector gave: their numbers, ascending, 32 bits each. Runs with the
-- same ones share it.
CREATE TABLE layout (
    id INTEGER PRIMARY KEY,
    database INTEGER NOT NULL REFERENCES database,
    collector TEXT NOT NULL,
    series BLOB NOT NULL,
    last_hour INTEGER NOT NULL
) STRICT;
CREATE INDEX layout_collector ON layout (database, collector);

-- What one run of a collector gave: a float of 64 bits for each series of the layout.
CREATE TABLE head (
    id INTEGER PRIMARY KEY,
    layout INTEGER NOT NULL REFERENCES layout,
    at_ms INTEGER NOT NULL,
    samples BLOB NOT NULL
) STRICT;
CREATE INDEX head_time ON head (layout, at_ms);

-- `key` packs the resolution, the span of time and the series: what is of one time stands
-- together and goes together.
CREATE TABLE chunk (
    key INTEGER PRIMARY KEY,
    samples BLOB NOT NULL
) STRICT;
