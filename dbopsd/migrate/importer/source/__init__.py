"""The SQLite file: a snapshot of it, what is in its schema, and what is in its columns."""
