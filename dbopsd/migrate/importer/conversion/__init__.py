"""The values: how each kind of SQLite value becomes a PostgreSQL one."""
