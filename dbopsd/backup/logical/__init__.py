"""Logical backups: a dump of a PostgreSQL database or of its tables, streamed, read and counted."""
