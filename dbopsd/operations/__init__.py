"""Long-running operations: what one is, and DBOS behind it."""
