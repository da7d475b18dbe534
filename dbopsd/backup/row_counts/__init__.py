"""How many rows each table has at a position of the WAL, for a drill to compare with."""
