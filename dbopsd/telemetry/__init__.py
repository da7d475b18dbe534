"""Traces, metrics and logs: created, named and exported here."""
