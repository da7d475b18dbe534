"""`dbops.v1.MetricsService`, a module for each part of it."""
