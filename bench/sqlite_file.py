"""The SQLite file that imports are measured on: an application's events, always the same ones."""

import sqlite3
from contextlib import closing
from pathlib import Path

TABLE = "events"
_SEED = 20240229
# Eight columns, as applications have them: booleans as 0 and 1, ISO dates and JSON as texts.
_CREATE = f"""
CREATE TABLE {TABLE} (
  id INTEGER PRIMARY KEY,
  user_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  score REAL,
  active BOOLEAN NOT NULL,
  created_at DATETIME NOT NULL,
  payload TEXT,
  note TEXT
)
"""
# In SQL, and so several times as fast as row by row. The numbers are those of the generator of
# Park and Miller, 2**31 - 1 of them before it repeats itself.
_FILL = f"""
WITH RECURSIVE numbers(n, r) AS (
  SELECT 1, :seed
  UNION ALL
  SELECT n + 1, r * 48271 % 2147483647 FROM numbers WHERE n < :rows
)
INSERT INTO {TABLE}
SELECT
  n,
  r % 100000 + 1,
  CASE r % 5
    WHEN 0 THEN 'view' WHEN 1 THEN 'answer' WHEN 2 THEN 'login' WHEN 3 THEN 'share' ELSE 'buy'
  END,
  CASE WHEN r % 11 THEN r % 1000003 / 1000.0 END,
  r >> 7 & 1,
  strftime('%Y-%m-%d %H:%M:%S', 1577836800 + r % 157680000, 'unixepoch'),
  '{{"page": ' || (r % 500) || ', "tags": ["t' || (r % 17) || '", "ü"]}}',
  CASE WHEN r % 3 THEN 'note ' || (r % 977) || ' on what was seen' END
FROM numbers
"""
_INDEX = f"CREATE INDEX {TABLE}_by_user ON {TABLE} (user_id)"


def make_sqlite_file(path: Path, rows: int) -> None:
    """Write the file, about 115 MB for a million rows, with its one index."""
    with closing(sqlite3.connect(path)) as connection:
        # Nobody needs it should we crash.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(_CREATE)
        connection.execute(_FILL, {"seed": _SEED, "rows": rows})
        connection.execute(_INDEX)
        connection.commit()
