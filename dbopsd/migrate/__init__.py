"""Moving a database forward: from SQLite into PostgreSQL, and from one schema to the next."""
