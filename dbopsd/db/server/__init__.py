"""PostgreSQL servers that dbopsd itself runs: programs, a cluster, a supervised server.

Nothing here speaks SQL over a connection: a server is readied with its own programs, and whoever
wants to talk to it gets a DSN.
"""
