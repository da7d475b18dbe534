"""Who calls, what they may, and the record of what they did."""
