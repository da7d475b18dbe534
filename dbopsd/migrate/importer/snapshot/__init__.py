"""A consistent private copy of the SQLite file, and how its rows are read."""
