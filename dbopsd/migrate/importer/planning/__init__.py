"""The plan: what becomes of each object and each column, and why."""
