"""The client for asyncio: a module for each sub-client. `_sync` is generated from it."""
