"""The WAL archive: every segment, what is missing, and which moments can be reached."""
