"""Revert a merge."""
