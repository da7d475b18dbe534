"""Is a database well? Probers look, reports say, the board holds the newest report of each."""
