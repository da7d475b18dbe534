"""The records of imports in the target database."""
