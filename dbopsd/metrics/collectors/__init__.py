"""A collector a file; `dbopsd.metrics.collector` reads them."""
