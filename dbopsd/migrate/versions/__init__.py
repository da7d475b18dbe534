"""Versioned schema migrations: read from files, checked, applied and rolled back on a live database."""
