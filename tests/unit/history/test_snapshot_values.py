"""Values of days without a statement: PortfolioAnalyst's before a snapshot's, and both behind a statement's."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools.fetch import snapshot_store
from ibkr_tools.fetch.snapshot import Snapshot
from ibkr_tools.flex.statement_archive import StatementArchive
from ibkr_tools.history.database import HistoryDatabase, write_file
from ibkr_tools.history.projection import Projection, project
from ibkr_tools.history.rebuild import rebuild
from ibkr_tools.history.records import AccountValue, Source
from ibkr_tools.history.snapshot_values import values_of
from tests.support.history_sources import source
from tests.support.snapshots import save_simulated, simulated, snapshot_of
from tests.support.stored_snapshots import document

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = date(2026, 11, 22)


def periods(**series: Any) -> dict[str, Any]:
    return {"rc": 0, "U1": {"1Y": series, "baseCurrency": "EUR", "periods": ["1Y"]}}


def values(**parts: Any) -> list[AccountValue]:
    ((found, _),) = values_of([(DAY, snapshot_of(parts))])
    return found


def test_a_snapshot_is_of_a_moment() -> None:
    ledger = {"U1": {"BASE": {"netliquidationvalue": 1234.5, "cashbalance": 34.5, "stockmarketvalue": 1200}}}
    (value,) = values(accounts=[{"id": "U1", "currency": "EUR"}], ledger=ledger)
    assert (value.source, value.day, value.total, value.currency) == (Source.SNAPSHOT, DAY, Decimal("1234.5"), "EUR")
    assert value.as_of == NOON.isoformat()
    assert values(accounts=[{"id": "U1"}], ledger=ledger) == [], "without a currency it is no value"


def test_the_answers_of_portfolio_analyst() -> None:
    """Of all periods, and of one that is of a single account; the end of a day, each day once."""
    series = {"startNAV": {"date": "20261118", "val": 1}, "dates": ["20261119", "20261120"], "nav": [2.5, 3]}
    found = values(periods=periods(**series))
    assert [(f"{item.day:%m%d}", item.total, item.as_of) for item in found] == [
        ("1118", Decimal(1), ""),
        ("1119", Decimal("2.5"), ""),
        ("1120", Decimal(3), ""),
    ]
    assert {item.source for item in found} == {Source.PORTFOLIO_ANALYST}
    nav = {"dates": ["20261119"], "data": [{"id": "U1", "navs": [7], "baseCurrency": "EUR"}]}
    assert [item.total for item in values(performance={"nav": nav})] == [7]
    nav["data"][0]["id"] = "U1,U2"  # type: ignore[index]
    assert values(performance={"nav": nav}) == [], "that of two together is of neither"


@pytest.mark.parametrize(
    "answer",
    [
        [],
        None,
        {"U1": []},
        {"U1": {"1Y": [1], "baseCurrency": "EUR"}},
        {"U1": {"1Y": {"dates": ["20261119"], "nav": []}, "baseCurrency": "EUR"}},
        {"U1": {"1Y": {"dates": ["11/19/2026", 5], "nav": [1, 2]}, "baseCurrency": "EUR"}},
        {"U1": {"1Y": {"dates": ["20261119"], "nav": ["N/A"]}, "baseCurrency": "EUR"}},
        {"U1": {"1Y": {"dates": ["20261119"], "nav": [1]}}},
    ],
)
def test_an_answer_of_another_shape_has_no_values(answer: Any) -> None:
    assert values(periods=answer) == []
    assert values(performance=answer) == []
    assert values(performance={"nav": answer}) == []


def test_statements_count_before_portfolio_analyst_and_that_before_snapshots() -> None:
    """Whatever was made last, in whatever order they are added."""
    day = date(2026, 1, 9)
    made = {
        kind: AccountValue("U1234567", day, "EUR", Decimal(number), None, None, f"2026-0{number}-01", kind, "")
        for number, kind in ((2, Source.PORTFOLIO_ANALYST), (3, Source.SNAPSHOT))
    }
    for order in (list(made), list(made)[::-1]):
        projection = Projection()
        for kind in order:
            projection.add_values([made[kind]], "x")
        assert [item.source for item in projection.values()] == [Source.PORTFOLIO_ANALYST]
        projection.add(source(), "a")
        assert {item.source for item in projection.values()} == {Source.STATEMENT}
        projection.add_values(list(made.values()), "x")
        assert projection.values() == project([(source(), "a")]).values()


def test_of_an_older_answer_only_earlier_days_count() -> None:
    """A newer one speaks of all between its ends: a day that it lacks is gone."""

    def saved(day: int, dates: list[str]) -> tuple[date, Snapshot]:
        return date(2026, 11, day), snapshot_of({"periods": periods(dates=dates, nav=[day] * len(dates))})

    newer, older = saved(22, ["20261118", "20261120"]), saved(21, ["20261117", "20261118", "20261119"])
    found = [(f"{item.day:%m%d}", item.total) for items, _ in values_of([newer, older]) for item in items]
    assert found == [("1118", 22), ("1120", 22), ("1117", 21)]  # type: ignore[comparison-overlap]


def rebuilt(folder: Path) -> list[AccountValue]:
    keep = partial(write_file, folder / "history.sqlite")
    rebuild(StatementArchive(folder / "statements"), folder / "snapshots", keep)
    return HistoryDatabase(folder / "history.sqlite").values(sources=tuple(Source))


def test_the_history_stays_when_copies_go(tmp_path: Path) -> None:
    """The same rows, of a few kilobytes a day; positions are not in these."""
    folder = tmp_path / "snapshots"
    for days in (0, 1):
        save_simulated(folder, NOON + timedelta(days=days))
        save_simulated(folder, NOON + timedelta(days=days, hours=1))
    before = rebuilt(tmp_path)
    assert {item.source for item in before} == {Source.SNAPSHOT, Source.PORTFOLIO_ANALYST}
    snapshot_store.save(folder, document(), 10, NOON + timedelta(days=60))
    assert len(snapshot_store.list_copies(folder)) == 1
    assert [path.name for path in sorted((folder / "values").iterdir())] == [
        "2026-11-22.json.gz",
        "2026-11-23.json.gz",
    ]
    assert rebuilt(tmp_path) == before
    assert [item.as_of[11:13] for item in before if item.as_of] == ["13", "13"], "the last of the day counts"
    snapshot = next(one for day, one in snapshot_store.read_values(folder) if day == DAY)
    assert "positions" not in snapshot


def test_a_day_whose_copies_say_nothing_of_values_leaves_nothing(tmp_path: Path) -> None:
    """A damaged copy goes too, and stops neither the saving nor the history."""
    snapshot_store.save(tmp_path / "snapshots", document(), 30, NOON)
    (tmp_path / "snapshots" / "2026-11-20T120000Z.json.gz").write_bytes(b"\x1f\x8bdamaged")
    assert rebuilt(tmp_path) == []
    snapshot_store.save(tmp_path / "snapshots", document(), 1, NOON + timedelta(days=60))
    assert len(snapshot_store.list_copies(tmp_path / "snapshots")) == 1
    assert not (tmp_path / "snapshots" / "values").exists()


def test_a_later_copy_with_fewer_parts_does_not_count(tmp_path: Path) -> None:
    """Such as one of `fetch ledger --save`."""
    folder = tmp_path / "snapshots"
    save_simulated(folder, NOON)
    only = Snapshot(simulated(NOON + timedelta(hours=1)).encode()).narrowed(["ledger"])
    (folder / "2026-11-22T130000Z.json.gz").write_bytes(only.encode())
    (found,) = [one for _, one in snapshot_store.read_values(folder)]
    assert "periods" in found
