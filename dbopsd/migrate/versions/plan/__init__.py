"""Which migrations are in which state, and which of them run next."""
