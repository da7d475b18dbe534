"""A source a file; `dbopsd.metrics.source` loads them."""
