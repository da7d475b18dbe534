"""The histories of other tools: found by their columns, compared with the files, taken over."""
