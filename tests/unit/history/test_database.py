"""The database: replaced whole, exact to the digit, and never guessed at."""

import os
import resource
import sqlite3
from collections.abc import Callable
from datetime import date, timedelta
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


def changed(*statements: str) -> Callable[[Path], None]:
    """Returns what another program does to the file."""

    def change(path: Path) -> None:
        write_database(path, [value()], [booking()])
        with sqlite3.connect(path) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    return change


def with_a_damaged_page(path: Path) -> None:
    write_database(path, [value(date(2026, 1, 1) + timedelta(days=number)) for number in range(300)], [])
    data = bytearray(path.read_bytes())
    with sqlite3.connect(path) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'account_value'").fetchone()
    connection.close()
    data[(page - 1) * 4096 : (page - 1) * 4096 + 200] = b"\xff" * 200
    path.write_bytes(data)


def with_a_flipped_byte(path: Path) -> None:
    write_database(path, [value()], [])
    path.write_bytes(path.read_bytes().replace(b"2026-01-09", b"2026-01-\xb99"))


@pytest.mark.parametrize(
    "damage",
    [
        other_program,
        newer_version,
        with_a_damaged_page,
        with_a_flipped_byte,
        changed("UPDATE account_value SET day = 'no day'"),
        changed("UPDATE account_value SET day = 5"),
        changed("UPDATE account_value SET day = '9999-12-31'"),
        changed("UPDATE account_value SET total = 'NaN'"),
        changed("UPDATE account_value SET total = 'Infinity'"),
        changed("UPDATE account_value SET total = '1e9999'"),
        changed("UPDATE account_value SET total = 'much'"),
        changed("UPDATE account_value SET total = x'00'"),
        changed("UPDATE account_value SET source = 'bank'"),
        changed("UPDATE account_value SET generated_at = x'00'"),
        changed("ALTER TABLE account_value DROP COLUMN cash"),
        changed("DROP TABLE account_value"),
        changed("PRAGMA journal_mode = WAL"),
        os.mkfifo,
        lambda path: path.symlink_to("/dev/zero"),
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


def test_an_unknown_kind_is_named_whatever_kinds_are_asked_for(tmp_path: Path) -> None:
    """It may be one of these."""
    path = tmp_path / "history.sqlite"
    changed("UPDATE cash_booking SET kind = 'bribe'")(path)
    with pytest.raises(DataError, match="column kind: 'bribe' is unknown"):
        HistoryDatabase(path).bookings([CashKind.FEE])
    assert HistoryDatabase(path).bookings([], first=date(2030, 1, 1)) == []


def test_no_kind_is_no_booking(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    write_database(path, [booking()])
    assert HistoryDatabase(path).bookings([]) == []


@pytest.mark.parametrize("leftover", ["-wal", "-shm", "-journal"])
def test_what_another_writer_has_left_is_not_taken_for_the_new_ones(tmp_path: Path, leftover: str) -> None:
    """SQLite would bring it into the file that it finds there."""
    path = tmp_path / "history.sqlite"
    write_database(path, [value(total="1")])
    with sqlite3.connect(path) as connection:
        if leftover != "-journal":
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("UPDATE account_value SET total = '666'")
        kept = path.with_name(path.name + leftover)
        data = kept.read_bytes()
        connection.rollback()
    connection.close()
    kept.write_bytes(data)
    write_database(path, [value(total="2")])
    assert not kept.exists()
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        assert connection.execute("SELECT total FROM account_value").fetchall() == [("2",)]
    connection.close()


def test_a_full_disk_leaves_the_old_one(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands in for it."""
    path = tmp_path / "history.sqlite"
    write_database(path, [value()])
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OutputError, match=r"history\.sqlite: File too large"):
            write_database(path, [value()], [booking(number) for number in range(1000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
