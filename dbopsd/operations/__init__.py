"""Long-running operations, on DBOS."""
