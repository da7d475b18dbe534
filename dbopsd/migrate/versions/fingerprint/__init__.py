"""The schema of a database, object by object, and how two differ."""
