"""Database health: probers make reports, and the board holds the newest one of each database."""
