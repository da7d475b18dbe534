"""The schema of the SQLite file."""
