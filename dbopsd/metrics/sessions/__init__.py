"""Who runs what on a database now, and who waits for whom."""
