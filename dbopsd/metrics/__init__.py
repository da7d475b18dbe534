"""How databases do: samples, streams of them, their history, alerts and advice."""
