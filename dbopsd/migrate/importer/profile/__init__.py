"""What the columns of the SQLite file hold."""
