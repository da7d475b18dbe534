"""Staged tables, and the keys, indexes, constraints and views on them."""
