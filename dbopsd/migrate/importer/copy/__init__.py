"""Copy rows into the staged tables with several processes, and collect rejected values."""
