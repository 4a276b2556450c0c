"""The made-up statements of the benchmark become history."""

from functools import partial
from pathlib import Path

from bench.history import ACCOUNTS, POSITIONS, write_archive
from ibkr_tools.flex.statement_archive import StatementArchive
from ibkr_tools.history.database import HistoryDatabase, write_file
from ibkr_tools.history.rebuild import rebuild


def test_a_month_of_three_accounts(tmp_path: Path) -> None:
    count = write_archive(tmp_path / "statements", years=0, daily_days=3)
    database = tmp_path / "history.sqlite"
    made = rebuild(StatementArchive(tmp_path / "statements"), tmp_path / "snapshots", partial(write_file, database))
    assert made.files == count > 3 * 1
    held = HistoryDatabase(database).positions()
    assert {account: len(positions) for account, (_, positions) in held.items()} == dict.fromkeys(ACCOUNTS, POSITIONS)
    assert made.values > 3 * 20
