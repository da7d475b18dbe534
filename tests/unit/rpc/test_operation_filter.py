"""The filter of ListOperations."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbopsd.errors import InvalidField
from dbopsd.operations.record import Comparison, Condition, State
from dbopsd.rpc.operation_filter import MAX_CONDITIONS, parse_filter

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()
EQUAL, NOT_EQUAL = Comparison.EQUAL, Comparison.NOT_EQUAL


def refusal(text: str) -> str:
    with pytest.raises(InvalidField) as caught:
        parse_filter(text)
    assert caught.value.field == "filter"
    return caught.value.problem


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("done = true", Condition("done", EQUAL, True)),
        ("done=false", Condition("done", EQUAL, False)),
        ('done != "true"', Condition("done", NOT_EQUAL, True)),
        ('metadata.database = "databases/main"', Condition("database", EQUAL, "main")),
        ("database != databases/a-1", Condition("database", NOT_EQUAL, "a-1")),
        ("metadata.kind='create-backup'", Condition("kind", EQUAL, "create-backup")),
        ("metadata.state = RUNNING", Condition("state", EQUAL, "RUNNING")),
        ('state!="FAILED"', Condition("state", NOT_EQUAL, "FAILED")),
        ("requester = schedules/x", Condition("requester", EQUAL, "schedules/x")),
        (r'requester = "a \"b\" \\ \*"', Condition("requester", EQUAL, r'a "b" \ *')),
        (r"requester = 'a\'b AND c'", Condition("requester", EQUAL, "a'b AND c")),
        ('requester = "Zoë"', Condition("requester", EQUAL, "Zoë")),
        (
            'create_time > "2026-01-31T12:00:00Z"',
            Condition("create_time", Comparison.GREATER, NOON),
        ),
        (
            "metadata.create_time<=2026-01-31T13:00:00.25+01:00",
            Condition("create_time", Comparison.LESS_EQUAL, NOON + 0.25),
        ),
        (
            'create_time >= "2026-01-31t12:00:00.123456789z"',
            Condition("create_time", Comparison.GREATER_EQUAL, NOON + 0.123456),
        ),
        ('create_time = "2026-01-31T12:00:00Z"', Condition("create_time", EQUAL, NOON)),
    ],
)
def test_a_condition(text, condition):
    assert parse_filter(text) == (condition,)
    assert parse_filter(f" \n{text}\t ") == (condition,)


def test_conditions_are_joined_by_and():
    assert parse_filter('done=false AND metadata.kind = "x"AND state != QUEUED') == (
        Condition("done", EQUAL, False),
        Condition("kind", EQUAL, "x"),
        Condition("state", NOT_EQUAL, "QUEUED"),
    )


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_a_blank_one_asks_for_everything(text):
    assert parse_filter(text) == ()


@pytest.mark.parametrize(
    ("text", "where", "allowed"),
    [
        ("nope = 1", "at character 1, before 'nope = 1'", "one of done, metadata.database, "),
        ("metadata.done = true", "at character 1,", "begins with one of"),
        ("metadata.metadata.kind = x", "at character 1,", "begins with one of"),
        ("done", "at its end", "done is compared with one of = !="),
        ("done : true", "at character 6, before ': true'", "one of = !="),
        ("done > true", "at character 6,", "one of = !="),
        ("done =", "at its end", "done is compared with a value"),
        ("done = maybe", "at character 8, before 'maybe'", "done is true or false"),
        ('state = "QUEUE"', "at character 9,", "state is one of QUEUED, RUNNING, CANCELLING"),
        ("state = STATE_UNSPECIFIED", "at character 9,", "state is one of"),
        ("database = main", "at character 12,", "database is of the form databases/{database}"),
        ("database = databases/-", "at character 12,", "of the form"),
        ('kind = "create', "at character 8,", "in quotation marks"),
        ('kind = "create-*"', "at character 8,", "compared whole"),
        ("kind = create-*", "at character 8,", "compared whole"),
        (r"kind = a\*", "at character 8,", "compared whole"),
        (r'requester = "\\*"', "at character 13,", "compared whole"),
        ('requester = "a\0b"', "at character 13,", "printable"),
        ('requester = "a\nb"', "at character 13,", "printable"),
        ("kind = a b", "at character 10, before 'b'", "only AND joins conditions"),
        ("kind = a OR kind = b", "at character 10, before 'OR kind = b'", "only AND"),
        ("kind = a and kind = b", "at character 10,", "only AND"),
        ("kind = a ANDkind = b", "at character 10,", "only AND"),
        ("kind = a AND", "at its end", "begins with one of"),
        ("AND kind = a", "at character 1,", "begins with one of"),
        ("NOT kind = a", "at character 1,", "begins with one of"),
        ("-kind = a", "at character 1,", "begins with one of"),
        ("(kind = a)", "at character 1,", "begins with one of"),
        ("kind = (a)", "at character 8,", "with a value"),
        ("create_time != 2026-01-31T12:00:00Z", "at character 13,", "one of = < <= > >="),
        ("create_time > 2026-01-31", "at character 15,", "create_time is of the form"),
        ("create_time > 2026-01-31T12:00:00", "at character 15,", "of the form"),
        ("create_time > 2026-02-31T12:00:00Z", "at character 15,", "of the form"),
        ("create_time > 2026-01-31T12:00:00+99:00", "at character 15,", "of the form"),
        ("create_time > ٢٠٢٦-01-31T12:00:00Z", "at character 15,", "of the form"),
    ],
)
def test_what_is_wrong_is_said_and_where(text, where, allowed):
    problem = refusal(text)
    assert where in problem
    assert allowed in problem


def test_a_long_remainder_is_cut():
    assert len(refusal("kind = a " + "b" * 3000)) < 200


def test_there_are_limits():
    fine = " AND ".join(["done = true"] * MAX_CONDITIONS)
    assert len(parse_filter(fine)) == MAX_CONDITIONS
    assert "more than 32 conditions" in refusal(f"{fine} AND done = true")
    assert "more than 4096 characters" in refusal(" " * 4097)


WORDS = st.sampled_from(
    [
        *("done", "metadata.", "database", "kind", "state", "requester", "create_time"),
        *("=", "!=", "<", ">=", ":", "AND", "OR", "(", ")", '"', "'", "\\", "*", " ", "  ", "-"),
        *("true", "databases/main", "RUNNING", "2026-01-31T12:00:00Z", "0001-01-01T00:00:00+23:59"),
        *("9999-12-31T23:59:59.999999999-23:59", "\0", "é", "\ud7ff", "9" * 20),
    ]
)
TYPES = {"done": bool, "create_time": float}


@given(st.lists(WORDS | st.text(max_size=8), max_size=24).map("".join) | st.text())
def test_nothing_but_conditions_or_a_refusal_comes_of_any_text(text):
    try:
        conditions = parse_filter(text)
    except InvalidField:
        return
    for condition in conditions:
        assert isinstance(condition.comparison, Comparison)
        assert type(condition.value) is TYPES.get(condition.field, str)
        if condition.field == "create_time":
            # As the control store keeps times, in 64 bits.
            assert abs(round(condition.value * 1000)) < 2**62
        if condition.field == "state":
            assert condition.value in State.__members__


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["kind", "requester"]),
            st.sampled_from([EQUAL, NOT_EQUAL]),
            st.text().filter(str.isprintable),
        ),
        max_size=5,
    )
)
def test_every_printable_text_can_be_asked_for(wanted):
    def quoted(text: str) -> str:
        escaped = "".join("\\" + letter if letter in '\\"*' else letter for letter in text)
        return f'"{escaped}"'

    text = " AND ".join(f"{field} {how} {quoted(value)}" for field, how, value in wanted)
    assert parse_filter(text) == tuple(Condition(*each) for each in wanted)
