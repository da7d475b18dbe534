"""Conversions from SQLite values to PostgreSQL values."""
