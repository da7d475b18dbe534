"""The checks, a file each: `NAME.py` with its `CHECK`, and `NAME.sql` where it asks the server."""
