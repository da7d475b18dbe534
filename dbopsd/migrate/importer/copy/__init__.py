"""Rows into the staged tables, by several processes, and the values that are rejected."""
