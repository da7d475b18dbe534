"""Metrics over OTLP: their names there, where their counts begin, and the push."""
