"""What the statements of a server cost, and how they are planned."""
