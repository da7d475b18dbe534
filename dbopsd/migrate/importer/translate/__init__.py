"""SQLite's expressions and views in PostgreSQL's SQL."""
