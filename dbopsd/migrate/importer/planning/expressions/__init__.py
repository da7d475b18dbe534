"""SQLite's expressions and views in PostgreSQL's SQL: parsed, typed, and written anew."""
