"""The reference page of metrics, and where they differ from those of postgres_exporter."""
