-- How databases are used, as far as the daemon has seen it. Times are in seconds since 1970.
CREATE TABLE IF NOT EXISTS watched (
    database TEXT PRIMARY KEY,
    -- The server and the database in it: another one has nothing to do with what was seen.
    identity TEXT NOT NULL,
    standby INTEGER NOT NULL,
    -- When the server's counters were last reset, as it says; another text is another count.
    reset_at TEXT NOT NULL,
    -- Since when nothing was missed.
    since REAL NOT NULL,
    seen_at REAL NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS index_use (
    database TEXT NOT NULL,
    key TEXT NOT NULL,
    scans INTEGER NOT NULL,
    since REAL NOT NULL,
    -- When it was last seen to be searched; NULL: never.
    grew_at REAL,
    PRIMARY KEY (database, key)
) STRICT, WITHOUT ROWID;

-- Counters as they were a day ago or two, to see what they gained: the older is judged by, and the
-- newer becomes the older one when it is a day old.
CREATE TABLE IF NOT EXISTS counted (
    database TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    older_at REAL NOT NULL,
    older TEXT NOT NULL,
    newer_at REAL NOT NULL,
    newer TEXT NOT NULL,
    PRIMARY KEY (database, kind, key)
) STRICT, WITHOUT ROWID;
