# ruff: noqa: INP001, S311 # a script that stands alone, with numbers that come again
"""Makes the learning assistant's SQLite database: `python generate.py app.db --users 1000`.

The same number of users and the same seed give the same content, on every machine. Rows are made
as they are written, so that any number of them takes the same memory. Python's own library is all
that is needed.
"""

import argparse
import json
import random
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).with_name("schema.sql")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_DAY = datetime(2014, 3, 1, 8, tzinfo=UTC)
SECONDS = 10 * 365 * 86_400

NAMES = ("Ada", "Grace", "Edsger", "Zoë", "Søren", "Łucja", "Νίκος", "Мария", "美咲", "O'Neil")
LOCALES = ("en-GB", "en-US", "de-DE", "fr-FR", "ja-JP")
TAGS = ("Algebra", "Biology", "Chemistry", "Databases", "History", "Physics", "Music", "日本語")
KINDS = ("course", "lesson", "quiz", "video")
STYLES = ("visual", "auditory", "reading", "hands-on")
EVENTS = ("page_view", "search", "play", "pause", "answer", "logout", "debug")
DEVICES = ("web", "iPhone 📱", "Android", None)
WORDS = (
    "the",
    "learner",
    "reads",
    "and",
    "writes",
    "to",
    "try",
    "each",
    "new",
    "idea",
    "until",
    "clear",
)
VERSIONS = 27
# There are so many of each for a user; content does not grow beyond what people write.
SESSIONS, ATTEMPTS, EVENTS_OF_USER = 5, 2, 10
MOST_CONTENT = 20_000

# A row comes without the columns that are generated.
CONTENT = (
    "content (id, uuid, parent_id, kind, title, body, difficulty, price, duration_s, cover,"
    " metadata, is_published, published_at, deleted_at)"
)

Row = tuple[Any, ...]


class Generator:
    """The rows of each table, in the order of its key. Each table has random numbers of its own."""

    def __init__(self, users: int, seed: int) -> None:
        self._seed = seed
        self._users = users
        self._content = min(max(20, users // 10), MOST_CONTENT)
        self._assessments = max(5, self._content // 4)

    def fill(self, connection: sqlite3.Connection) -> None:
        """Write all rows."""
        for table, rows in (
            ("schema_migrations (version, applied_at)", self._migrations()),
            ("settings", self._settings()),
            ("users", self._each_user()),
            ("learning_profiles", self._profiles()),
            (CONTENT, self._each_content()),
            ("tags", self._tags()),
            ("content_tags", self._content_tags()),
            ("learning_sessions", self._sessions()),
            ("assessments", self._each_assessment()),
            ("assessment_attempts", self._attempts()),
            ("analytics_events", self._events()),
        ):
            first = next(rows)
            marks = ", ".join("?" * len(first))
            statement = f"INSERT INTO {table} VALUES ({marks})"  # noqa: S608 # names from above
            connection.execute(statement, first)
            connection.executemany(statement, rows)
        connection.execute(
            "INSERT INTO users_backup_2019 SELECT id, email, created_at FROM users WHERE id <= 50"
        )
        # Numbers of accounts that are gone are not to be given again.
        connection.execute("UPDATE sqlite_sequence SET seq = seq + 100 WHERE name = 'users'")

    def _random(self, table: str) -> random.Random:
        return random.Random(f"{self._seed} {table}")

    def _migrations(self) -> Iterator[Row]:
        for version in range(1, VERSIONS + 1):
            applied = FIRST_DAY + timedelta(days=100 * version)
            yield f"{version:04}", f"{applied:%Y-%m-%d %H:%M:%S}"

    def _settings(self) -> Iterator[Row]:
        yield "max_sessions", 5
        yield "pass_mark", 0.5
        yield "site_name", "Learning Assistant"
        yield "theme", None

    def _each_user(self) -> Iterator[Row]:
        chance = self._random("users")
        for number in range(1, self._users + 1):
            name = chance.choice(NAMES)
            username = f"{name}{number}"
            deleted = chance.random() < 0.05
            # A deleted account's address was used again, in other letters.
            owner = number + 1 if deleted and number < self._users else number
            email = f"User{owner}@example.org" if deleted else f"user{number}@Example.org"
            made = _moment(chance)
            yield (
                *(number, username, email, None if chance.random() < 0.1 else name),
                chance.randbytes(16).hex() if number % 3 == 0 else None,
                _age(number, chance),
                *(int(chance.random() < 0.9), int(number == 1), chance.choice(LOCALES)),
                # Release 3 writes ISO 8601, those before wrote what SQLite does.
                f"{made:%Y-%m-%dT%H:%M:%SZ}" if number % 2 else f"{made:%Y-%m-%d %H:%M:%S}",
                None,
                None if chance.random() < 0.2 else _seconds(_moment(chance)),
                f"{_moment(chance):%Y-%m-%d %H:%M:%S}" if deleted else None,
            )

    def _profiles(self) -> Iterator[Row]:
        chance = self._random("profiles")
        for user in range(1, self._users + 1):
            if user % 10 == 9:
                continue
            preferences = {
                "theme": chance.choice(("dark", "light")),
                "hints": chance.random() < 0.5,
            }
            goals = [chance.choice(TAGS) for _ in range(chance.randrange(4))]
            yield (
                *(user, chance.choice(STYLES), json.dumps(goals) if goals else None),
                *(json.dumps(preferences), chance.randrange(0, 1200, 15), chance.randrange(400)),
                f"{_moment(chance):%Y-%m-%d %H:%M:%S.%f}",
            )

    def _each_content(self) -> Iterator[Row]:
        chance = self._random("content")
        for number in range(1, self._content + 1):
            kind = "course" if number % 10 == 1 else chance.choice(KINDS)
            published = chance.random() < 0.8
            metadata = {"level": chance.randrange(1, 6), "author": chance.choice(NAMES)}
            yield (
                *(number, str(uuid.UUID(int=chance.getrandbits(128), version=4))),
                number - number % 10 + 1 if kind == "lesson" and number % 10 > 1 else None,
                *(kind, f"{chance.choice(TAGS)} {number}", _text(chance)),
                round(chance.random(), 3) if chance.random() < 0.9 else None,
                chance.randrange(0, 20_000) / 100,
                chance.randrange(30, 7200),
                chance.randbytes(64) if chance.random() < 0.3 else None,
                *(json.dumps(metadata, ensure_ascii=False), int(published)),
                f"{_moment(chance):%Y-%m-%d %H:%M:%S}" if published else None,
                f"{_moment(chance):%Y-%m-%d %H:%M:%S}" if chance.random() < 0.03 else None,
            )

    def _tags(self) -> Iterator[Row]:
        for number, tag in enumerate(TAGS):
            yield tag, f"#{number * 2_000_000:06x}"

    def _content_tags(self) -> Iterator[Row]:
        chance = self._random("content tags")
        for content in range(1, self._content + 1):
            # Typed by hand: SQLite finds the tag whatever its letters' case.
            for tag in sorted(chance.sample(TAGS, 2)):
                yield content, tag.lower() if content % 20 == 4 else tag

    def _sessions(self) -> Iterator[Row]:
        chance = self._random("sessions")
        for number in range(1, self._users * SESSIONS + 1):
            started = _moment(chance)
            ended = started + timedelta(milliseconds=chance.randrange(1000, 7_200_000))
            # What it was about is gone: nothing looked after the foreign key then.
            gone = number % 100 == 7
            yield (
                *(number, chance.randint(1, self._users)),
                self._content + number if gone else chance.randint(1, self._content),
                _milliseconds(started),
                _milliseconds(ended) if chance.random() < 0.95 else None,
                chance.random(),
                *(int(chance.random() < 0.6), chance.choice(DEVICES)),
                _text(chance) if chance.random() < 0.1 else None,
            )

    def _each_assessment(self) -> Iterator[Row]:
        chance = self._random("assessments")
        for number in range(1, self._assessments + 1):
            questions = [
                {"id": n, "text": _text(chance, 6), "points": chance.choice((1, 2.5, 5))}
                for n in range(1, 4)
            ]
            yield (
                *(number, chance.randint(1, self._content), f"Assessment {number}", 100),
                *(chance.choice((0.4, 0.5, 2 / 3)), json.dumps(questions)),
            )

    def _attempts(self) -> Iterator[Row]:
        chance = self._random("attempts")
        attempts = self._users * ATTEMPTS
        for number in range(attempts):
            # Every pair comes once before any comes twice, so that no key does.
            place = number * self._assessments // attempts
            assessment = place + 1
            offset = number - -(-place * attempts // self._assessments)
            user, attempt = offset % self._users + 1, offset // self._users + 1
            marks = chance.randrange(0, 1001) / 10
            marked = number % 50 != 13
            submitted = _moment(chance)
            yield (
                *(assessment, user, attempt),
                *((marks, int(marks >= 50)) if marked else ("n/a", None)),
                json.dumps({str(n): chance.choice("abcd") for n in range(1, 4)}),
                f"{submitted:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "+00:00"
                if number % 3
                else f"{submitted:%Y-%m-%d %H:%M}",
            )

    def _events(self) -> Iterator[Row]:
        chance = self._random("events")
        for number, _ in zip(count(1), range(self._users * EVENTS_OF_USER), strict=False):
            properties = {"path": f"/content/{chance.randint(1, self._content)}", "n": number % 7}
            yield (
                number,
                chance.randint(1, self._users + 20) if chance.random() < 0.9 else None,
                chance.randint(1, self._users * SESSIONS),
                chance.choice(EVENTS),
                _seconds(_moment(chance)),
                json.dumps(properties),
                chance.randbytes(4) if chance.random() < 0.8 else None,
            )


def generate(path: Path, users: int = 1000, seed: int = 1) -> None:
    """Write the database to `path`, which must not be there."""
    with path.open("xb"), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # It is made anew should anything fail: nothing is to be waited for.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.executescript(SCHEMA.read_text(encoding="utf-8"))
        connection.execute("BEGIN")
        Generator(users, seed).fill(connection)
        connection.execute("COMMIT")
        connection.execute("ANALYZE")


def _age(number: int, chance: random.Random) -> int | str | None:
    if number % 97 == 5:
        return "n/a"
    if number % 211 == 17:
        return "unknown"
    return None if chance.random() < 0.2 else chance.randint(8, 90)


def _moment(chance: random.Random) -> datetime:
    return FIRST_DAY + timedelta(milliseconds=chance.randrange(SECONDS * 1000))


def _seconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(seconds=1)


def _milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _text(chance: random.Random, words: int = 20) -> str:
    return " ".join(chance.choices(WORDS, k=words)).capitalize() + "."


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--users", type=int, default=1000, help="how many; the rest grows with it")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.users < 1:
        parser.error("there is at least one user")
    try:
        generate(arguments.path, arguments.users, arguments.seed)
    except FileExistsError:
        parser.error(f"{arguments.path} exists")


if __name__ == "__main__":
    main()
