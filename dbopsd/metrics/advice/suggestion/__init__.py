"""Indexes that costly statements lack, proved by hypothetical ones where hypopg is installed."""
