"""Drills: a backup is really restored into a server of its own, which is then checked."""
