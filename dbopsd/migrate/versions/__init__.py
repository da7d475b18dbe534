"""Versioned schema migrations: read from files, checked, and run on a live database."""
