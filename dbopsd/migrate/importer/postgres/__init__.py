"""Schemas, locks, foreign keys and rows of the target database."""
