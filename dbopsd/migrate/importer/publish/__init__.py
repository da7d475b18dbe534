"""Publish staged tables and rows in the target schema."""
