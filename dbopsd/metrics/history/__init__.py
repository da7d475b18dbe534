"""The history of metrics, in the state directory."""
