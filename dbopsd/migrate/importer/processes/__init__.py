"""The child processes of an import, their tasks and messages."""
