"""Restore to a moment: which are reachable, what it takes, doing it, and confirming it."""
