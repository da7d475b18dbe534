"""What callers ask of versioned migrations, what they are told, and what every room speaks of."""
