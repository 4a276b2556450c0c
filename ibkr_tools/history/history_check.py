"""Compares the newest statement with the snapshot that was saved on the same day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from ibkr_tools.errors import DataError, SnapshotMissing, UsageError
from ibkr_tools.fetch import snapshot_store
from ibkr_tools.fetch.snapshot import Snapshot
from ibkr_tools.history.flows import external_flows
from ibkr_tools.history.queries import HistoryQueries
from ibkr_tools.history.records import AccountValue, CorporateAction, Coverage, Position, Source
from ibkr_tools.history.snapshot_comparison import (
    Comparison,
    DayEvents,
    HeldPosition,
    compare_positions,
    compare_values,
)
from ibkr_tools.history.snapshot_values import values_of
from ibkr_tools.number_format import ZERO

_POSITIONS = "positions"


@dataclass(frozen=True)
class AccountCheck:
    """What was compared of an account: of which day, and the snapshot's file."""

    account: str
    day: date
    snapshot: Path
    comparisons: list[Comparison]


def check_history(database: HistoryQueries, snapshots: Path, accounts: Sequence[str] = ()) -> list[AccountCheck]:
    """Returns for each account the comparison of the newest day that a statement ends with and a snapshot is of.

    Raises:
        SnapshotMissing: there is no such day.
        DataError, ConfigError: see `HistoryQueries.values` and `snapshot_store.list_copies`.
    """
    covered = database.records(Coverage, accounts)
    days = {
        (item.account, item.day + timedelta(days=number))
        for item in covered
        if item.section == "OpenPositions"
        for number in range((item.to_day - item.day).days + 1)
    }
    copies: dict[date, list[Path]] = {}
    for copy in snapshot_store.list_copies(snapshots):
        copies.setdefault(copy.saved_at.date(), []).append(copy.path)
    found: dict[str, AccountCheck] = {}
    for account, day in sorted(days, reverse=True):
        for path in reversed(copies.get(day, ()) if account not in found else ()):
            if (snapshot := _read(path, account)) is not None:
                found[account] = AccountCheck(account, day, path, _compare(database, account, day, snapshot))
                break
    if not found:
        raise SnapshotMissing(
            "there is no day of which a statement has positions and a saved snapshot is kept",
            hint="`ibkr-tools fetch --save` saves one a day; a statement of today comes tomorrow.",
        )
    return sorted(found.values(), key=lambda item: item.account)


def _read(path: Path, account: str) -> Snapshot | None:
    """Returns a snapshot with the positions of an account; None: it has none, or is damaged."""
    try:
        snapshot = Snapshot(snapshot_store.read_snapshot(path), str(path))
    except (DataError, UsageError):
        return None
    return snapshot if _POSITIONS in snapshot and account in snapshot.covers.accounts else None


def _compare(database: HistoryQueries, account: str, day: date, snapshot: Snapshot) -> list[Comparison]:
    of_day = ((account,), day, day)
    balances = snapshot.balances()
    held = [
        HeldPosition(row.conid, row.name, row.quantity)
        for row in snapshot.holdings(_POSITIONS)
        if balances.owner(row.account) == account and row.quantity is not None
    ]
    transfers = database.transfers(*of_day)
    events = DayEvents(database.trades(*of_day), database.records(CorporateAction, *of_day), transfers)
    compared = compare_positions(account, database.records(Position, *of_day), held, events)
    by_statement = database.values(*of_day, sources=(Source.STATEMENT,))
    ((values, _),) = values_of([(day, snapshot)])
    by_snapshot: list[AccountValue] = [
        value for value in values if value.account == account and value.source is Source.SNAPSHOT
    ]
    if by_statement and by_snapshot:
        flows = [
            flow.amount_in_base or ZERO
            for flow in external_flows(database.bookings(accounts=(account,), first=day, last=day), transfers)
        ]
        compared.append(compare_values(by_statement[0], by_snapshot[0], flows))
    return compared
