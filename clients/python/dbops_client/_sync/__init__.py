# Generated from _async/__init__.py: change that, and run 'make client'.
"""The client for synchronous code: a module for each sub-client. It is generated from `_async`."""
