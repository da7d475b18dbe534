"""One sampler a database runs the collectors, as often as their cost allows."""
