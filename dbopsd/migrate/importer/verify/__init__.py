"""The rows on both sides compared, value by value."""
