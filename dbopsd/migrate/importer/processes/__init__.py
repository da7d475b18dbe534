"""The processes that do an import's heavy work side by side, and what they are told and tell."""
