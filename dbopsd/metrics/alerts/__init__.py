"""Alerts: rules, their judgement, and the messages to people."""
