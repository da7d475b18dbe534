"""Import a SQLite file into PostgreSQL, complete and verified."""
