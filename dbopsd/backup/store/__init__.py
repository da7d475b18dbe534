"""Where backups are kept: objects by key, created once and never changed."""
