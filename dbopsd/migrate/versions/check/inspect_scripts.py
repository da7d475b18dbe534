"""A process that parses scripts and has the rules look at them: their text comes from outside.

It reads a line of JSON from standard input, `{"ledger_schema", "scripts": [{"text",
"transactional"}, …]}`, and writes one for each script, in their order. `inspection.py` starts it,
and says what the lines hold. Where a script is its end, that script is known by the line that is
missing.
"""

import json
import resource
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from dbopsd.migrate.versions.check.corrections import dismissals
from dbopsd.migrate.versions.check.relations import created, locked, renamed
from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.check.rules import rules_for
from dbopsd.migrate.versions.sql.lexer import skip_blanks
from dbopsd.migrate.versions.sql.statements import SqlStatement, SyntaxProblem, split
from dbopsd.migrate.versions.sql.syntax_tree import (
    LARGE_STATEMENT_CHARS,
    SMALL_SCRIPT_CHARS,
    Name,
    Node,
    Script,
    Statement,
    characters,
    parse,
    parse_statement,
    unwrapped,
)

_MEMORY_BYTES: Final = 3 * 2**29
"""With the stack."""
_CPU_S: Final = 10
_CPU_GRACE_S: Final = 2
_BYTES_PER_CPU_S: Final = 100_000
"""A tenth of what it takes of real files."""
# libpg_query and json go down a tree by recursion: a hundred thousand `||` need most of it.
_STACK_BYTES: Final = 512 * 2**20
_MOST_DEPTH: Final = 200_000
_OF_DEFAULTS: Final = frozenset({"adding-serial-column", "adding-volatile-default"})
_MOST_MATCHES: Final = 1_000
"""Of one script."""


def inspect(text: str, *, transactional: bool, ledger_schema: str) -> dict[str, Any]:
    """What `inspection.Inspected` has, as JSON."""
    answer: dict[str, Any] = {"statements": [], "matches": [], "dismissed": [], "skipped": []}
    script = Script(transactional, ledger_schema)
    try:
        for statement in _statements(text):
            if statement.kind:
                _look_into(statement, script, answer)
            else:
                answer["skipped"].append((statement.start, statement.end))
    except SyntaxProblem as problem:
        return {"syntax": {"message": problem.message, "position": problem.position}}
    return answer


def _look_into(statement: Statement, script: Script, answer: dict[str, Any]) -> None:
    defaults: set[int] = set()
    for rule, match in _matches(statement, script):
        if rule.name in _OF_DEFAULTS:
            defaults.add(statement.place(match.location))
        if len(answer["matches"]) == _MOST_MATCHES:
            answer["more"] = True
            break
        answer["matches"].append(_match_fields(statement, script, rule, match))
    made = list(created(statement))
    answer["dismissed"].extend(map(asdict, dismissals(statement, defaults)))
    answer["statements"].extend(_statement_fields(statement, made))
    script.pass_over(statement, made)


def _statements(text: str) -> Iterator[Statement]:
    """The statements of a script, without a kind where there is no room for their trees.

    Raises `SyntaxProblem`.
    """
    if len(text) > SMALL_SCRIPT_CHARS:
        for each in split(text):
            kind, node = _tree_of(each)
            yield Statement(kind, node, each.start, each.end, each.text, each.start)
        return
    for raw in parse(text):
        kind, node = unwrapped(raw["stmt"])
        begin = raw.get("stmt_location", 0)
        start = skip_blanks(text, characters(text, begin))
        # The last one may lack its semicolon, and then its length too.
        end = characters(text, begin + raw["stmt_len"]) if "stmt_len" in raw else len(text)
        yield Statement(kind, node, start, max(start, end), text, 0)


def _tree_of(statement: SqlStatement) -> tuple[str, Node]:
    """Its kind and its tree; nothing where it is not to be looked into."""
    if len(statement.text) > LARGE_STATEMENT_CHARS:
        return "", {}
    try:
        return parse_statement(statement.text)
    except (SyntaxProblem, RecursionError, MemoryError, ValueError):
        # It was parsed once, with the whole script: there is no room for its tree.
        return "", {}


def _matches(statement: Statement, script: Script) -> Iterator[tuple[Rule, Match]]:
    for rule in rules_for(statement.kind):
        for match in rule.find(statement, script):
            yield rule, match


def _match_fields(statement: Statement, script: Script, rule: Rule, match: Match) -> dict[str, Any]:
    tables = match.tables or tuple(locked(statement))
    return {
        "rule": rule.name,
        "position": statement.place(match.location),
        "message": match.message,
        "tables": tables,
        "new": bool(tables) and all(map(script.creates, tables)),
    }


def _statement_fields(statement: Statement, made: list[Name]) -> Iterator[dict[str, Any]]:
    """Nothing for a statement that neither creates nor locks a relation: most are such."""
    tables, names = locked(statement), renamed(statement)
    if made or tables:
        yield {
            "start": statement.start,
            "end": statement.end,
            "created": made,
            "tables": tables,
            "renamed": names,
        }


def main() -> bool:
    """Inspect one script after the other; whether all of them were."""
    request = json.loads(sys.stdin.buffer.readline())
    size = sum(len(script["text"]) for script in request["scripts"])
    seconds = _CPU_S + size // _BYTES_PER_CPU_S
    _limit(resource.RLIMIT_DATA, _MEMORY_BYTES)
    _limit(resource.RLIMIT_CPU, seconds, _CPU_GRACE_S)
    _limit(resource.RLIMIT_CORE, 0)
    for script in request["scripts"]:
        answer = inspect(**script, ledger_schema=request["ledger_schema"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return True


def _limit(which: int, soft: int, grace: int = 0) -> None:
    _, most = resource.getrlimit(which)
    hard = soft + grace
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(which, (soft, hard))


if __name__ == "__main__":
    sys.setrecursionlimit(_MOST_DEPTH)
    threading.stack_size(_STACK_BYTES)
    ended: list[bool] = []
    worker = threading.Thread(target=lambda: ended.append(main()))
    worker.start()
    worker.join()
    sys.exit(0 if ended else 1)
