"""The settings of a server: what they are, where they come from, and for whom they differ."""
