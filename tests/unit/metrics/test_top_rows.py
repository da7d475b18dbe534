"""The busiest rows, and the rest as one whose counters never fall."""

import random
from pathlib import Path

from dbopsd.db.session import Table
from dbopsd.metrics.collector import Collector
from dbopsd.metrics.sampling.top_rows import OTHERS, TopRows, TopState, largest_rows
from dbopsd.metrics.sampling.top_states import TopStates

COLLECTOR = Collector.parse(
    "tables.sql",
    '/*\nabout = "x."\nevery_s = 10\ntop = "tables"\nlabels = ["name"]\n'
    '[metrics.tables_writes_total]\ntype = "counter"\nunit = "1"\nhelp = "x."\ncolumn = "writes"\n'
    '[metrics.tables_bytes]\nunit = "By"\nhelp = "x."\ncolumn = "bytes"\n*/\nSELECT 1',
)


SPARING = Collector.parse(
    "tables.sql",
    '/*\nabout = "x."\nevery_s = 10\ntop = "tables"\nspares_rest = true\nlabels = ["name"]\n'
    '[metrics.tables_writes_total]\ntype = "counter"\nunit = "1"\nhelp = "x."\n'
    'column = "writes"\n*/\nSELECT 1',
)


class Server:
    """Tables with a counter each, and the answer that the collector's query gives of them."""

    def __init__(self, **writes: float) -> None:
        self.writes = dict(writes)

    def answer(self, members: list[str], limit: int) -> Table:
        ranked = sorted(self.writes, key=lambda name: (-self.writes[name], name))
        shown = dict.fromkeys([*(m for m in members if m in self.writes), *ranked[:limit]])
        rest = [writes for name, writes in self.writes.items() if name not in members]
        return Table(
            ("top_key", "activity", "name", "writes", "bytes"),
            [
                *((name, self.writes[name], name, self.writes[name], 8) for name in shown),
                (None, len(rest), OTHERS, sum(rest), 8 * len(rest)),
            ],
        )

    def sampled(self, top: TopRows, limit: int, *, epoch: str = "e", now: float = 0.0):
        """The counters and the gauges that are shown, by name."""
        rows = top.fold(self.answer(top.members, limit), epoch=epoch, now=now)
        return {row[2]: row[3] for row in rows}, {row[2]: row[4] for row in rows}


def test_the_busiest_are_shown_and_the_rest_is_summed_up():
    server = Server(a=100, b=90, c=5, d=3)
    counters, gauges = server.sampled(TopRows(COLLECTOR, 2), 2)
    assert counters == {"a": 100, "b": 90, OTHERS: 8}
    assert gauges == {"a": 8, "b": 8, OTHERS: 16}
    counters, _ = server.sampled(TopRows(COLLECTOR, 4), 4)
    assert counters == {"a": 100, "b": 90, "c": 5, "d": 3}


def test_all_rows_are_looked_at_now_and_then_and_those_that_are_shown_each_time():
    server, top = Server(a=100, b=90, c=5), TopRows(SPARING, 1)
    assert top.looks_at_all(0.0)
    assert server.sampled(top, 1)[0] == {"a": 100, OTHERS: 95}
    top.looked_at_all(0.15)
    server.writes |= {"a": 101, "b": 500}
    assert not top.looks_at_all(299.0)
    members = Table(("top_key", "activity", "name", "writes"), [("a", 101, "a", 101)])
    assert [row[2:4] for row in top.refresh(members)] == [("a", 101), (OTHERS, 95)]
    assert top.looks_at_all(300.0)
    server.writes["a"] = 110
    assert server.sampled(top, 1, now=300.0)[0] == {"b": 500, OTHERS: 95 + 410}
    # What was done since it was shown last comes with the next look.
    assert server.sampled(top, 1, now=600.0)[0] == {"b": 500, OTHERS: 95 + 410 + 9}


def test_where_all_are_shown_all_are_looked_at_each_time():
    server, top = Server(a=100), TopRows(SPARING, 2)
    server.sampled(top, 2)
    assert top.looks_at_all(1.0)


def test_one_that_becomes_busy_takes_nothing_from_the_rest():
    server, top = Server(a=100, b=90, c=50, d=3), TopRows(COLLECTOR, 2)
    server.sampled(top, 2)
    server.writes |= {"c": 500, "d": 4}
    counters, gauges = server.sampled(top, 2)
    # 450 and 1 were done while neither was shown.
    assert counters == {"c": 500, "a": 100, OTHERS: 53 + 451}
    assert gauges[OTHERS] == 16
    server.writes |= {"c": 600, "d": 6}
    counters, _ = server.sampled(top, 2)
    assert counters == {"c": 600, "a": 100, OTHERS: 53 + 451 + 2}


def test_one_has_to_be_clearly_busier_to_take_a_place():
    server, top = Server(a=100, b=90), TopRows(COLLECTOR, 1)
    server.sampled(top, 1)
    server.writes["b"] = 120
    assert top.members == ["a"]
    server.sampled(top, 1)
    assert top.members == ["a"]
    server.writes["b"] = 126
    server.sampled(top, 1)
    assert top.members == ["b"]


def test_one_that_left_stays_out_for_an_hour():
    server, top = Server(a=100, b=90), TopRows(COLLECTOR, 1)
    server.sampled(top, 1)
    server.writes["b"] = 1000
    server.sampled(top, 1, now=10.0)
    server.writes["a"] = 100_000
    server.sampled(top, 1, now=20.0)
    assert top.members == ["b"]
    server.sampled(top, 1, now=3611.0)
    assert top.members == ["a"]


def test_dropped_tables_and_reset_statistics_make_nothing_fall():
    server, top = Server(a=100, b=90, c=50, d=3), TopRows(COLLECTOR, 1)
    assert server.sampled(top, 1)[0][OTHERS] == 143
    del server.writes["b"]
    server.writes["d"] = 5
    assert server.sampled(top, 1)[0][OTHERS] == 143
    server.writes["d"] = 6
    assert server.sampled(top, 1)[0][OTHERS] == 144
    server.writes = dict.fromkeys("acd", 0)
    assert server.sampled(top, 1)[0] == {"a": 0, OTHERS: 144}
    server.writes["d"] = 2
    assert server.sampled(top, 1)[0][OTHERS] == 146
    del server.writes["a"]
    assert server.sampled(top, 1)[0] == {"d": 2, OTHERS: 146}


def test_what_another_server_has_counted_is_no_growth():
    server, top = Server(a=100, b=90), TopRows(COLLECTOR, 1)
    assert server.sampled(top, 1)[0][OTHERS] == 90
    server.writes = {"a": 100, "b": 1_000_000}
    counters, _ = server.sampled(top, 1, epoch="standby")
    assert counters[OTHERS] == 90


def test_a_daemon_that_is_started_anew_goes_on_where_the_one_before_it_was(tmp_path: Path):
    server, states = Server(a=100, b=90, c=5), TopStates(tmp_path / "main")
    before = TopRows(COLLECTOR, 1, states.load("tables"))
    server.sampled(before, 1)
    server.writes["b"] = 1000
    last, _ = server.sampled(before, 1, now=10.0)
    assert before.worth_saving
    states.save("tables", before.state)
    server.writes["c"] = 8
    after = TopRows(COLLECTOR, 1, states.load("tables"))
    assert after.members == ["b"]
    first, _ = server.sampled(after, 1, now=20.0)
    assert first[OTHERS] == last[OTHERS] + 3
    (tmp_path / "main" / "tables.json").write_text("{")
    assert states.load("tables") is None


def test_nothing_is_counted_twice_or_not_at_all_however_the_busiest_change():
    dice = random.Random(7)
    names = [f"t{number}" for number in range(12)]
    server, top = Server(**{name: dice.randrange(1000) for name in names}), TopRows(COLLECTOR, 3)
    before, _ = server.sampled(top, 3)
    done = dict.fromkeys(names, 0.0)
    seen = 0.0
    changes = 0
    for tick in range(300):
        members = list(top.members)
        hot = names[tick // 40]
        for name in names:
            work = dice.randrange(2000 if name == hot else 20)
            server.writes[name] += work
            done[name] += work
        now, _ = server.sampled(top, 3, now=10.0 * tick)
        for name, value in now.items():
            # As a rate would: a series counts from its second sample on.
            assert value >= before.get(name, 0.0)
            seen += value - before.get(name, value)
        changes += members != top.members
        before = now
    assert changes > 3
    assert seen == sum(done.values())


def test_the_largest_rows_remain_of_gauges():
    columns = ("slice_key", "name", "bytes")
    gauge = Collector.parse(
        "sizes.sql",
        '/*\nabout = "x."\nevery_s = 10\ntop = "tables"\nslice_rows = 5\nlabels = ["name"]\n'
        '[metrics.sizes_bytes]\nunit = "By"\nhelp = "x."\ncolumn = "bytes"\n*/\nSELECT 1',
    )
    rows = [(1, "a", 5), (2, "b", None), (3, "c", 9), (4, "d", 1)]
    assert largest_rows(rows, columns, gauge, 2) == [(3, "c", 9), (1, "a", 5), (4, OTHERS, 1.0)]
    assert largest_rows(rows, columns, gauge, 4) == sorted(rows, key=lambda r: -(r[2] or 0))


def test_a_state_without_a_directory_is_not_kept():
    states = TopStates()
    states.save("tables", TopState())
    assert states.load("tables") is None
