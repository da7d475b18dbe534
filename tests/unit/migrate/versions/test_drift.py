"""What is left out of drift, without a database."""

import pytest

from dbopsd.migrate.versions.fingerprint.drift import find_drift
from dbopsd.migrate.versions.fingerprint.fingerprint import digest
from dbopsd.migrate.versions.fingerprint.ignored_objects import IgnoredObjects
from dbopsd.migrate.versions.model.schema_object import Fingerprint, SchemaObject

PARTITION = (
    SchemaObject("table", "public.events_p1", "TABLE PARTITION OF public.events", 0, "OWNER a"),
    SchemaObject("column", "public.events_p1.id", "bigint INHERITED", 1),
    SchemaObject("constraint", "public.events_p1.events_p1_pkey", "PRIMARY KEY (id) INHERITED"),
    SchemaObject(
        "index", "public.other_name", "CREATE INDEX other_name ON public.events_p1 USING btree (a)"
    ),
    SchemaObject(
        "index",
        "public.unlike",
        'CREATE UNIQUE INDEX "un like" ON ONLY public.events_p1 USING btree (a) INVALID',
    ),
    SchemaObject("trigger", "public.events_p1.t", "CREATE TRIGGER t …"),
    SchemaObject("policy", "public.events_p1.p", "PERMISSIVE FOR ALL TO PUBLIC"),
    SchemaObject("sequence", "public.s", "SEQUENCE AS bigint OWNED BY public.events_p1.id"),
    SchemaObject("sequence", "public.i", "SEQUENCE AS bigint IDENTITY OF public.events_p1.id"),
    SchemaObject(
        "statistics", "public.st", "CREATE STATISTICS public.st ON a, b FROM public.events_p1"
    ),
    SchemaObject("comment", "table public.events_p1", "of it"),
    SchemaObject("comment", "index public.other_name", "of its index"),
    SchemaObject("security label", "table public.events_p1 FOR anon", "of it"),
)
OTHERS = (
    SchemaObject("table", "public.events", "TABLE PARTITION BY RANGE (id)"),
    SchemaObject("column", "public.users.events_p1", "text", 1),
    SchemaObject("table", '"public.events_p1".t', "TABLE"),
    SchemaObject("index", "public.i2", "CREATE INDEX i2 ON public.users USING btree (a)"),
    SchemaObject("sequence", "public.s2", "SEQUENCE AS bigint OWNED BY public.users.events_p1"),
    SchemaObject("comment", "table public.users", "public.events_p1"),
    SchemaObject("user mapping", "public.events_p1", "", 0, "OWNER a"),
    SchemaObject("table", "other.events_p1", "TABLE"),
    SchemaObject("schema", "public", "SCHEMA"),
)


def fingerprint(*objects: SchemaObject) -> Fingerprint:
    return Fingerprint(digest(objects), objects)


def left_out(pattern: str, *objects: SchemaObject) -> list[str]:
    ignored = IgnoredObjects([pattern], [fingerprint(*objects)])
    return [
        f"{each.kind} {each.identity}" for each in objects if ignored.has(each.kind, each.identity)
    ]


def test_a_table_takes_what_belongs_to_it_and_nothing_else() -> None:
    found = left_out("public.events_p*", *PARTITION, *OTHERS)
    assert found == [f"{each.kind} {each.identity}" for each in PARTITION]


@pytest.mark.parametrize(
    ("pattern", "identity", "kind"),
    [
        ("public.f", "public.f(integer, text)", "function"),
        ("public.+", "public.+(integer,integer)", "operator"),
        ("public.c?", "public.c1 USING btree", "operator class"),
        ("public.MixedCase", 'public."MixedCase"', "table"),
        ('public.odd.na?"me', 'public."odd.na""""me"', "view"),
        ("tenant_[0-9].*", "tenant_7.t.column", "column"),
        ("tenant_[0-9].*", "tenant_7", "schema"),
        ("*.*_ccnew", "public.a_ccnew", "index"),
    ],
)
def test_names_are_matched_as_a_shell_does(pattern: str, identity: str, kind: str) -> None:
    described = f"{kind} {identity}"
    assert left_out(pattern, SchemaObject(kind, identity, "it")) == [described]


@pytest.mark.parametrize(
    ("pattern", "identity", "kind"),
    [
        ("public.mixedcase", 'public."MixedCase"', "table"),
        ("public.event", "public.events", "table"),
        ("partman.part*", "partman", "schema"),
        ("*.*", "pg_partman", "extension"),
        ("p*.*", "integer AS public.a", "cast"),
    ],
)
def test_what_a_pattern_is_not_for(pattern: str, identity: str, kind: str) -> None:
    assert left_out(pattern, SchemaObject(kind, identity, "it")) == []


def test_what_is_left_out_is_counted_where_it_would_count() -> None:
    expected = fingerprint(OTHERS[0])
    actual = fingerprint(OTHERS[1], *PARTITION[:4])
    drift = find_drift(expected, actual, ["public.events_p*"])
    assert [each.identity for each in drift.objects] == ["public.events", "public.users.events_p1"]
    assert (drift.left_out, drift.differences) == (4, drift.objects)
    everything = find_drift(expected, actual, ())
    assert (len(everything.objects), everything.left_out) == (6, 0)
    owner = SchemaObject("table", "public.events_p1", PARTITION[0].definition, 0, "OWNER b")
    changed = find_drift(fingerprint(PARTITION[0]), fingerprint(owner), ["public.events_p1"])
    assert (changed.differences, changed.left_out) == ((), 0)
