"""How what is backed up becomes bytes of a store: compressed, encrypted, sealed."""
