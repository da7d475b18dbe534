"""Retention: which backups and which WAL are kept, and how the rest goes."""
