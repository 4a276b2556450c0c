"""`from ibkr_tools import History`: what was imported, as records and as DataFrames."""

import os
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from ibkr_tools import ConfigError, History, SnapshotMissing, UsageError
from tests.support.flex_statements import document
from tests.support.installation import Installation, printed


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """That of a user who has imported a week."""
    folder = tmp_path_factory.mktemp("history")
    place = Installation(folder / "place", dict(os.environ))
    place.configure(5000)
    (folder / "week.xml").write_bytes(document())
    printed(place, "flex", "import", str(folder / "week.xml"))
    return History(state_dir=place.directories.state)


def test_records(history: History) -> None:
    values = history.values()
    assert [(value.day, value.total) for value in values] == [
        (date(2026, 1, 2), Decimal("1350.50")),
        (date(2026, 1, 9), Decimal("2408.50")),
    ]
    assert history.values(start="2026-01-03") == values[1:]
    assert history.values(account="U9999999") == []
    assert [booking.kind for booking in history.income()] == ["dividend"]
    assert [flow.amount_in_base for flow in history.flows(end=date(2026, 1, 31))] == [Decimal(1000)]
    assert history.fees() == []
    assert history.trades() == []
    assert [position.symbol for position in history.positions()] == ["VWRL"]
    assert history.bookings("deposit") == history.bookings(["deposit"])
    (period,) = history.returns(by="month", account=["U1234567"])
    assert period.measured.gain == 58
    assert history.returns(together=True)[0].account == "together"


def test_data_frames(history: History) -> None:
    values = history.values().to_pandas()
    assert list(values["total"]) == [1350.5, 2408.5]
    assert values["day"].dt.year.tolist() == [2026, 2026]
    assert history.values().to_pandas(exact=True)["total"][0] == Decimal("1350.50")
    returns = history.returns().to_pandas()
    assert returns["measured_begin_total"][0] == 1350.5
    assert returns["measured_end_day"].dt.day.tolist() == [9]
    assert history.trades().to_pandas().empty


def test_without_pandas(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pandas"):
        history.values().to_pandas()


def test_what_is_wrong(history: History, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no day"):
        history.values(start="01.02.2026")
    with pytest.raises(UsageError, match="expected one of month, year"):
        history.returns(by="week")
    with pytest.raises(UsageError, match="kinds"):
        history.bookings(["loss"])
    with pytest.raises((SnapshotMissing, ConfigError)):
        History(state_dir=tmp_path).values()
