"""Compare the rows on both sides, value by value."""
