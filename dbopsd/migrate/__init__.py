"""Migrations: SQLite into PostgreSQL."""
