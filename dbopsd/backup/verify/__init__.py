"""Verification: whether what is in the store is what was written, and whole."""
