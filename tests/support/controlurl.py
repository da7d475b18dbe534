"""A DSN of keywords as the URL that `server.control_url` is."""

from urllib.parse import urlencode

from psycopg.conninfo import conninfo_to_dict


def as_url(dsn: str) -> str:
    words = conninfo_to_dict(dsn)
    where = f"{words.pop('user')}@{words.pop('host')}:{words.pop('port')}/{words.pop('dbname')}"
    return f"postgresql://{where}?{urlencode(words)}"
