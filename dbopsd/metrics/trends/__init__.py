"""What the history says about days to come, and about the last hour."""
