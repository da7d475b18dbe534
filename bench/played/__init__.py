"""The processes that a measurement plays its scene with, each a module to run."""
