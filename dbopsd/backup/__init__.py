"""Backup and recovery: to any second, proved by restoring."""
