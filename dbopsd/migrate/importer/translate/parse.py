"""Parses SQLite's expressions and queries, by SQLite's own rules of precedence.

sqlglot does the work, with its rewriting of functions turned off: each is what was written.
"""

import logging
from typing import Any, ClassVar, Final

from sqlglot import exp, parse_one
from sqlglot.dialects.sqlite import SQLite
from sqlglot.errors import SqlglotError
from sqlglot.parsers.sqlite import SQLiteParser
from sqlglot.tokenizer_core import TokenType

from dbopsd.migrate.importer.inspect.sql_tokens import TokenReader, UnreadableSql, tokenize
from dbopsd.migrate.importer.translate.budget import MAX_DEPTH
from dbopsd.migrate.importer.translate.types import NotTranslatable, cut

CAST: Final = "cast"
# Plain names in SQLite, always.
_PLAIN: Final = frozenset(
    {
        *("ANY", "ARRAY", "CURRENT_CATALOG", "CURRENT_SCHEMA", "CURRENT_USER", "DESCRIBE", "FETCH"),
        *("GRANT", "ILIKE", "INTERVAL", "LATERAL", "LIST", "LOCALTIME", "LOCALTIMESTAMP", "MAP"),
        *("NULLABLE", "OBJECT", "PARTITIONED_BY", "QUALIFY", "REVOKE", "RLIKE", "SESSION_USER"),
        *("SOME", "STRUCT", "TABLESAMPLE", "UNCACHE", "XOR"),
    }
)
_OPERATORS: Final = frozenset({"->", "->>"})
_NOT, _EQUALITY, _UNARY = 3, 4, 11
# A token is gone past some ten times. More often only where the parser tries what SQLite has not,
# as a join in a join for each JOIN without a condition: twice as often with every further one.
_LEAST_STEPS: Final = 20_000
_STEPS_A_TOKEN: Final = 50
# Operators that are translated one after the other, and not each inside the next.
CHAINS: Final[tuple[type[exp.Expr], ...]] = (
    *(exp.And, exp.Or, exp.DPipe, exp.SetOperation, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod),
    *(exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseLeftShift, exp.BitwiseRightShift),
)
_INFIX: Final = (
    *(exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Is, exp.In, exp.Between),
    *(exp.Like, exp.Glob, exp.RegexpLike, exp.Match, exp.Escape),
)
# https://sqlite.org/lang_expr.html#operators_and_parse_affecting_attributes
_LEVELS: Final[tuple[tuple[int, tuple[type[exp.Expr], ...]], ...]] = (
    (1, (exp.Or,)),
    (2, (exp.And,)),
    (_NOT, (exp.Not,)),
    (_EQUALITY, _INFIX),
    (5, (exp.LT, exp.LTE, exp.GT, exp.GTE)),
    (6, (exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseLeftShift, exp.BitwiseRightShift)),
    (7, (exp.Add, exp.Sub)),
    (8, (exp.Mul, exp.Div, exp.Mod)),
    (9, (exp.DPipe,)),
    (10, (exp.Collate,)),
    (_UNARY, (exp.Neg, exp.BitwiseNot)),
)
_LEVEL_OF: Final = {kind: level for level, kinds in _LEVELS for kind in kinds}

# Says that it falls back where something is not supported; we refuse that ourselves.
logging.getLogger("sqlglot").addHandler(logging.NullHandler())


def _operator(name: str) -> Any:
    def build(_parser: Any, this: exp.Expr, expression: exp.Expr) -> exp.Expr:
        return exp.Anonymous(this=name, expressions=[this, expression])

    return build


def _parse_cast(parser: Any) -> exp.Expr:
    """CAST with the type as it is written: its letters alone make the affinity."""
    this: exp.Expr = parser._parse_disjunction()  # noqa: SLF001
    if not parser._match(TokenType.ALIAS):  # noqa: SLF001
        parser.raise_error("Expected AS after CAST")
    words: list[str] = []
    depth = 0
    while parser._curr and (depth or parser._curr.token_type != TokenType.R_PAREN):  # noqa: SLF001
        kind = parser._curr.token_type  # noqa: SLF001
        depth += (kind == TokenType.L_PAREN) - (kind == TokenType.R_PAREN)
        words.append(parser._curr.text)  # noqa: SLF001
        parser._advance()  # noqa: SLF001
    declared = exp.Literal.string(" ".join(words))
    return exp.Anonymous(this=CAST, expressions=[this, declared])


class _Unchanged(SQLite):
    class Parser(SQLiteParser):
        _steps = 0

        def _advance(self, times: int = 1) -> None:
            """Go on, or back where it tries something else: that may take time without end."""
            self._steps += 1
            if self._steps > _LEAST_STEPS + _STEPS_A_TOKEN * len(self._tokens):
                raise NotTranslatable(cut(self.sql), "there are too many ways to read it")
            super()._advance(times)

        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {"CAST": _parse_cast}
        CONCAT_OPERATORS: ClassVar[dict[TokenType, Any]] = {
            **SQLiteParser.CONCAT_OPERATORS,
            TokenType.ARROW: _operator("->"),
            TokenType.DARROW: _operator("->>"),
        }


def parse_expression(sql: str) -> exp.Expr:
    """Parse one expression. Raises `NotTranslatable`."""
    query = parse_query(f"SELECT {sql}")
    if not isinstance(query, exp.Select):
        raise NotTranslatable(cut(sql), "it is no expression")
    extra = [name for name, value in query.args.items() if value and name != "expressions"]
    found: list[exp.Expr] = query.expressions
    if extra or len(found) != 1 or isinstance(found[0], exp.Alias):
        raise NotTranslatable(cut(sql), "it is not understood as one expression")
    return found[0]


def parse_query(sql: str) -> exp.Expr:
    """Parse one SELECT, be it compound. Raises `NotTranslatable`."""
    try:
        query = parse_one(_with_plain_names(sql), read=_Unchanged)
    except UnreadableSql as error:
        raise NotTranslatable(cut(sql), error.problem) from error
    except (SqlglotError, RecursionError) as error:
        problem = str(error).splitlines()[0] if str(error) else "it nests too deeply"
        raise NotTranslatable(cut(sql), f"it is not understood: {problem}") from error
    waiting = [(query, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise NotTranslatable(cut(sql), "it nests too deeply")
        _check(node)
        for child in node.iter_expressions():
            in_chain = isinstance(node, CHAINS) and child is node.this
            waiting.append((child, depth if in_chain else depth + 1))
    return query


def _with_plain_names(sql: str) -> str:
    """With quotes around names that sqlglot knows as words of other dialects."""
    tokens = tokenize(sql)
    made, end = "", 0
    for token, following in zip(tokens, [*(each.word for each in tokens[1:]), ""], strict=True):
        if token.word in _PLAIN and following != "(":
            made += f'{sql[end : token.start]}"{token.text}"'
            end = token.end
    return made + sql[end:]


def split_view(sql: str) -> tuple[tuple[str, ...], str]:
    """The names that a CREATE VIEW gives its columns, and its query. Raises `NotTranslatable`."""
    try:
        reader = TokenReader(sql)
        reader.expect("CREATE")
        _ = reader.accept("TEMP") or reader.accept("TEMPORARY")
        reader.expect("VIEW")
        reader.accept("IF", "NOT", "EXISTS")
        reader.name()
        names = reader.group() if reader.word == "(" else ()
        reader.expect("AS")
        query = reader.written(reader.rest())
    except UnreadableSql as error:
        raise NotTranslatable(cut(sql), error.problem) from error
    return tuple(token.text for token in names if token.word != ","), query


def _check(node: exp.Expr) -> None:
    """Refuse a tree that SQLite would have made another of.

    In a tree that keeps its parentheses, each operand binds tighter than its operator: an operand
    to the left may bind as tightly. Only one tree of a text is so.
    """
    level = _level(node)
    if level is None or level in {_NOT, _UNARY}:
        operand = _level(node.this) if level is not None else None
        if level is not None and operand is not None and operand < level:
            _refuse(node)
        return
    left, rights = node.this, [node.args.get(name) for name in ("expression", "low", "high")]
    if isinstance(node, exp.Anonymous):
        left, rights = node.expressions[0], node.expressions[1:]
    if _below(left, level):
        _refuse(node)
    for right in rights:
        if isinstance(right, exp.Not) and level >= _NOT:
            # Written in front of its operand it may stand there; `x NOT IN (…)` may not.
            if isinstance(right.this, _INFIX):
                _refuse(node)
        elif right is not None and _below(right, level + 1):
            _refuse(node)


def _below(operand: Any, level: int) -> bool:
    found = _level(operand)
    return found is not None and found < level


def _level(node: Any) -> int | None:
    """How tightly an operator binds; None: it is none."""
    if isinstance(node, exp.Anonymous):
        return 9 if node.name in _OPERATORS else None
    return _LEVEL_OF.get(type(node))


def _refuse(node: exp.Expr) -> None:
    raise NotTranslatable(
        cut(node.sql("sqlite")), "operators follow each other in a way that is not understood"
    )
