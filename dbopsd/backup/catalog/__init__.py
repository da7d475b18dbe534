"""What is in the store: backups by their commit records, the WAL archive, notes and leases."""
