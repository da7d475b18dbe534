"""One measurement a file: a module here with a `MEASUREMENT` is part of the report."""
