"""The text of migrations: statements, comments and positions, by PostgreSQL's rules."""
