-- The database of a learning assistant, as ten years of releases have left it.
-- SQLite's foreign keys were switched on late, its types were taken for comments.

CREATE TABLE schema_migrations (
    version TEXT PRIMARY KEY,
    applied_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value -- whatever was given
) WITHOUT ROWID;

CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    username VARCHAR(40) NOT NULL UNIQUE COLLATE NOCASE,
    email TEXT NOT NULL COLLATE NOCASE CHECK (email LIKE '%_@_%'),
    display_name TEXT,
    password_md5 CHAR(32), -- until 2.0; nobody has dared to drop it
    age INTEGER, -- 'n/a' and 'unknown' came in with the CSV of a school
    is_active BOOLEAN NOT NULL DEFAULT 1,
    is_admin INTEGER NOT NULL DEFAULT 0 CHECK (is_admin IN (0, 1)),
    locale TEXT NOT NULL DEFAULT 'en-GB',
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, -- '… 10:00:00' and '…T10:00:00Z'
    updated_at DATETIME,
    last_login_at INTEGER, -- seconds since 1970
    deleted_at DATETIME
);
-- A deleted account gives its address free.
CREATE UNIQUE INDEX users_live_email ON users (email) WHERE deleted_at IS NULL;
CREATE INDEX users_created ON users (created_at DESC);

CREATE TABLE learning_profiles (
    user_id INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    style TEXT NOT NULL DEFAULT 'visual' CHECK (style IN ('visual', 'auditory', 'reading', 'hands-on')),
    goals TEXT CHECK (goals IS NULL OR json_valid(goals)),
    preferences JSON NOT NULL DEFAULT '{}',
    weekly_minutes INTEGER NOT NULL DEFAULT 120 CHECK (weekly_minutes BETWEEN 0 AND 10080),
    streak_days SMALLINT NOT NULL DEFAULT 0,
    updated_at DATETIME
);

CREATE TABLE content (
    id INTEGER PRIMARY KEY,
    uuid CHAR(36) NOT NULL UNIQUE,
    parent_id INTEGER REFERENCES content (id),
    kind TEXT NOT NULL CHECK (kind IN ('course', 'lesson', 'quiz', 'video')),
    title TEXT NOT NULL CHECK (length(trim(title)) > 0),
    body TEXT NOT NULL DEFAULT '',
    difficulty REAL CHECK (difficulty >= 0 AND difficulty <= 1),
    price DECIMAL(8, 2) NOT NULL DEFAULT 0,
    duration_s INTEGER NOT NULL DEFAULT 0,
    duration_minutes REAL GENERATED ALWAYS AS (duration_s / 60.0) STORED,
    slug TEXT GENERATED ALWAYS AS (lower(replace(title, ' ', '-'))) VIRTUAL,
    cover BLOB,
    metadata TEXT NOT NULL DEFAULT '{}',
    is_published BOOLEAN NOT NULL DEFAULT 0,
    published_at TIMESTAMP,
    deleted_at DATETIME
);
CREATE INDEX content_by_title ON content (lower(title)) WHERE is_published = 1;

CREATE TABLE tags (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    colour TEXT NOT NULL DEFAULT '#808080'
) WITHOUT ROWID;

CREATE TABLE content_tags (
    content_id INTEGER NOT NULL REFERENCES content (id) ON DELETE CASCADE,
    tag TEXT NOT NULL REFERENCES tags (name) ON UPDATE CASCADE,
    PRIMARY KEY (content_id, tag)
) WITHOUT ROWID;

CREATE VIRTUAL TABLE content_search USING fts5 (title, body, content = 'content', content_rowid = 'id');

CREATE TABLE learning_sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL REFERENCES users (id),
    content_id INTEGER REFERENCES content (id), -- content was deleted while they were off
    started_at INTEGER NOT NULL, -- milliseconds since 1970
    ended_at INTEGER CHECK (ended_at IS NULL OR ended_at >= started_at),
    progress REAL NOT NULL DEFAULT 0.0,
    completed BOOLEAN NOT NULL DEFAULT 0,
    device TEXT,
    notes TEXT
);
CREATE INDEX learning_sessions_of_user ON learning_sessions (user_id, started_at DESC);

CREATE TABLE assessments (
    id INTEGER PRIMARY KEY,
    content_id INTEGER NOT NULL REFERENCES content (id),
    title TEXT NOT NULL,
    max_score INTEGER NOT NULL DEFAULT 100 CHECK (max_score > 0),
    pass_mark REAL NOT NULL DEFAULT 0.5,
    questions TEXT NOT NULL -- JSON
);

CREATE TABLE assessment_attempts (
    assessment_id INTEGER NOT NULL REFERENCES assessments (id),
    user_id INTEGER NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED,
    attempt INTEGER NOT NULL CHECK (attempt > 0),
    score NUMERIC, -- 'n/a' where it was never marked
    passed BOOLEAN,
    answers TEXT,
    submitted_at DATETIME NOT NULL,
    PRIMARY KEY (assessment_id, user_id, attempt)
) WITHOUT ROWID;

CREATE TABLE analytics_events (
    id INTEGER PRIMARY KEY,
    user_id INTEGER, -- of deleted users, too
    session_id INTEGER,
    name TEXT NOT NULL,
    at INTEGER NOT NULL, -- seconds since 1970
    properties TEXT NOT NULL DEFAULT '{}', -- JSON
    client_ip BLOB
);
CREATE INDEX analytics_events_by_name ON analytics_events (name, at);

CREATE TABLE users_backup_2019 AS SELECT id, email, created_at FROM users;

CREATE VIEW active_users AS
    SELECT id, username, email, created_at FROM users
    WHERE is_active = 1 AND deleted_at IS NULL;

CREATE VIEW content_popularity AS
    SELECT c.id, c.title, count(s.id) AS sessions, ifnull(round(avg(s.progress), 2), 0.0) AS mean_progress
    FROM content AS c LEFT JOIN learning_sessions AS s ON s.content_id = c.id
    GROUP BY c.id, c.title;

CREATE VIEW user_scores AS
    SELECT user_id, count(*) AS attempts, sum(passed) AS passed, max(submitted_at) AS latest
    FROM assessment_attempts GROUP BY user_id;

CREATE TRIGGER users_touch AFTER UPDATE ON users WHEN new.updated_at IS old.updated_at
BEGIN
    UPDATE users SET updated_at = CURRENT_TIMESTAMP WHERE id = new.id;
END;

CREATE TRIGGER content_search_insert AFTER INSERT ON content
BEGIN
    INSERT INTO content_search (rowid, title, body) VALUES (new.id, new.title, new.body);
END;

CREATE TRIGGER content_search_delete AFTER DELETE ON content
BEGIN
    INSERT INTO content_search (content_search, rowid, title, body)
        VALUES ('delete', old.id, old.title, old.body);
END;

PRAGMA user_version = 27;
