"""What could be done about a database: rules, each an SQL file, and what they need to know."""
