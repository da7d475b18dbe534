"""Traces, metrics and logs: how they are made, named and sent; nothing here knows what they say."""
