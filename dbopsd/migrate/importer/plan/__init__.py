"""The plan: names, types, keys, constraints and views, each with its reason."""
