"""The database: replaced whole, exact to the digit, and never guessed at."""

import sqlite3
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from ibkr_tools.errors import DataError, OutputError, SnapshotMissing
from ibkr_tools.history.database import HistoryDatabase, write_database
from ibkr_tools.history.records import AccountValue, CashBooking, CashKind

DAY = date(2026, 1, 9)


def value(day: date = DAY, account: str = "U1234567", total: str = "0.123456789012345") -> AccountValue:
    return AccountValue(account, day, "EUR", Decimal(total), None, Decimal("-0.1"), "2026-01-10T06:30:00")


def booking(number: int = 0, kind: CashKind = CashKind.DIVIDEND) -> CashBooking:
    made = "2026-01-10T06:30:00"
    amount = Decimal("1E-7")
    return CashBooking(
        "U1234567", DAY, number, kind, "Dividends", "USD", amount, None, "K\u00d6EN", "1", "a 'b'", "", made
    )


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    """Digit by digit."""
    path = tmp_path / "history" / "history.sqlite"
    write_database(path, [value()], [booking(0), booking(1, CashKind.FEE)])
    database = HistoryDatabase(path)
    assert database.values([], None, None) == [value()]
    assert database.bookings([CashKind.DIVIDEND], [], None, None) == [booking()]
    assert path.stat().st_mode & 0o777 == 0o640


def test_days_and_accounts_are_chosen(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    days = [date(2026, 1, number) for number in range(1, 5)]
    write_database(path, [value(day, account) for account in ("U1", "U2") for day in days], [])
    found = HistoryDatabase(path).values(["U2"], days[1], days[2])
    assert [(item.account, item.day) for item in found] == [("U2", days[1]), ("U2", days[2])]


def test_the_same_records_make_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_database(tmp_path / name, [value()], [booking()])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_any_program_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    write_database(path, [value()], [])
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        assert connection.execute("SELECT day, total FROM account_value").fetchall() == [
            ("2026-01-09", "0.123456789012345")
        ]


def test_nothing_yet(tmp_path: Path) -> None:
    with pytest.raises(SnapshotMissing, match="no history"):
        HistoryDatabase(tmp_path / "history.sqlite").values([], None, None)


def other_program(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE account_value (day)")


def newer_version(path: Path) -> None:
    write_database(path, [value()], [])
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")


def cut_off(path: Path) -> None:
    write_database(path, [value()], [])
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    "damage",
    [
        other_program,
        newer_version,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not a database at all" * 300),
        cut_off,
        lambda path: path.mkdir(),
    ],
)
def test_what_is_none_of_ours_is_named(tmp_path: Path, damage: object) -> None:
    """With the command that makes it anew."""
    assert callable(damage)
    path = tmp_path / "history.sqlite"
    damage(path)
    with pytest.raises(DataError, match=r"history\.sqlite") as caught:
        HistoryDatabase(path).values([], None, None)
    assert "history rebuild" in (caught.value.hint or "")


def test_what_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "history").touch()
    with pytest.raises(OutputError):
        write_database(tmp_path / "history" / "history.sqlite", [value()], [])
