"""Collectors that users write: SQL from outside, run as a role of its own and within limits."""
