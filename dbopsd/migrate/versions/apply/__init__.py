"""Runs a plan: each migration with its locks, its session and its rows in the ledger."""
