"""Physical backups: what `pg_basebackup` sends, streamed into the store."""
