"""How staged tables and rows get to the target schema."""
