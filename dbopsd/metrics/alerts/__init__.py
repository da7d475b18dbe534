"""Alerts: rules, what they find, who is told."""
