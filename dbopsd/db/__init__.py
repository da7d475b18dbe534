"""The one path to PostgreSQL: connections, pool, traced session, errors, embedded server.

The only room that imports psycopg. Features get a `Database` or a `Session` and never see more.
"""
