"""A tool a file: where it keeps its history, how the table is known, and what its rows say."""
