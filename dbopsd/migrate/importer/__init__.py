"""From a SQLite file into PostgreSQL, whole and verified."""
