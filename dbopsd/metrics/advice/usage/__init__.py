"""The daemon's own record of how tables, indexes and sequences are used."""
