"""What the target database remembers of imports."""
