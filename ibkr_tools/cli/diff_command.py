"""`ibkr-tools diff`: what has changed between two times."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ibkr_tools.cli import completers
from ibkr_tools.cli.app_context import AppContext, app_context_of
from ibkr_tools.cli.history_options import AccountOption, history_of, put_rows
from ibkr_tools.entrypoint import print_stderr

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from ibkr_tools.history.position_diff import Held, PositionChange

EXIT_DIFFERENT = 1
"""As diff(1) has it."""


def diff(
    context: typer.Context,
    old: Annotated[
        str | None,
        typer.Argument(
            help="A day or a time of a saved copy (2026-11-22, 2026-11-22T12:00), or a day that a statement ends with; "
            "none: the day before the other one.",
            metavar="[OLD]",
            autocompletion=completers.copies,
            show_default=False,
        ),
    ] = None,
    new: Annotated[
        str | None,
        typer.Argument(
            help="The same; none: the last saved snapshot.",
            metavar="[NEW]",
            autocompletion=completers.copies,
            show_default=False,
        ),
    ] = None,
    account: AccountOption = None,
) -> None:
    """Show what is new, gone or changed between two times, and whether quantity, price or currency did it."""
    from ibkr_tools.history.position_diff import compare_positions
    from ibkr_tools.views.diff_table import format_diff

    app_context = app_context_of(context)
    later = _latest(app_context) if new is None else _find(app_context, new)
    earlier = _before(app_context, later) if old is None else _find(app_context, old)
    known = earlier.bases.keys() | later.bases.keys()
    for name in sorted(set(account or ()) - known):
        print_stderr(f"note: {name}: has no position at either time", 20)
    changes = compare_positions(*_comparable(earlier, later, set(account or known)))
    put_rows(
        context,
        "diff",
        [_row(change) for change in changes],
        lambda width: format_diff(changes, earlier.as_of, later.as_of, currencies=later.bases, width=width),
    )
    if any(change.is_different for change in changes):
        raise typer.Exit(EXIT_DIFFERENT)


@dataclass(frozen=True)
class _Side:
    """The positions of one time, and which that is: a moment of a snapshot, or the end of a statement's day.

    `bases` has the base currency of each account that it is of, an empty text where that is not known.
    """

    as_of: str
    day: "date"
    positions: "Sequence[Held]"
    bases: "Mapping[str, str]"


def _comparable(earlier: _Side, later: _Side, chosen: "Collection[str]") -> "tuple[list[Held], list[Held]]":
    """Returns the positions of both sides that can be compared, and warns of what cannot.

    Of an account that only one side is of, nobody knows what was bought or sold. Where the base currency has changed,
    values in it have no difference.
    """
    from dataclasses import replace

    for side, other in ((earlier, later), (later, earlier)):
        if missing := sorted((side.bases.keys() - other.bases.keys()) & set(chosen)):
            print_stderr(f"warning: {', '.join(missing)} left out: nothing is known of it at {other.as_of}", 30)
    common = earlier.bases.keys() & later.bases.keys() & set(chosen)
    changed = set()
    for account in sorted(common):
        before, after = earlier.bases[account], later.bases[account]
        if before and after and before != after:
            print_stderr(f"warning: {account}: the base currency was {before} and is {after}: values are left out", 30)
            changed.add(account)
    old, new = (
        [
            replace(held, value_in_base=None) if held.account in changed else held
            for held in side.positions
            if held.account in common
        ]
        for side in (earlier, later)
    )
    return old, new


def _latest(app_context: AppContext) -> _Side:
    from ibkr_tools.errors import SnapshotMissing
    from ibkr_tools.fetch import snapshot_store

    directory = app_context.directories.snapshots
    try:
        return _of_snapshot(snapshot_store.read_latest(directory), directory / snapshot_store.LATEST_FILE)
    except SnapshotMissing:
        return _of_statement(app_context, None)


def _find(app_context: AppContext, when: str) -> _Side:
    """Returns what was saved on a day, or at a time; else what a statement says of the end of that day.

    Raises:
        UsageError: there is neither.
    """
    from datetime import date

    from ibkr_tools.errors import SnapshotMissing, UsageError
    from ibkr_tools.fetch import snapshot_store

    try:
        path = snapshot_store.find_copy(app_context.directories.snapshots, when)
    except UsageError as error:
        try:
            day = date.fromisoformat(when)
        except ValueError:
            raise error from None
        try:
            return _of_statement(app_context, day)
        except (UsageError, SnapshotMissing):
            error.message = f"{error.message}, and no statement that ends on it"
            error.hint = f"{error.hint} `ibkr-tools flex list` names the last days of the statements."
            raise error from None
    return _of_snapshot(snapshot_store.read_snapshot(path), path)


def _before(app_context: AppContext, later: _Side) -> _Side:
    """Returns the last copy of a day before; without any, the last statement that ends before.

    Raises:
        SnapshotMissing: there is neither a copy nor any statement.
    """
    from datetime import timedelta

    from ibkr_tools.errors import SnapshotMissing
    from ibkr_tools.fetch import snapshot_store

    copies = snapshot_store.list_copies(app_context.directories.snapshots)
    earlier = [copy for copy in copies if copy.saved_at.date() < later.day]
    if earlier:
        return _of_snapshot(snapshot_store.read_snapshot(earlier[-1].path), earlier[-1].path)
    try:
        return _of_statement(app_context, later.day - timedelta(days=1), is_exact=False)
    except SnapshotMissing as error:
        raise SnapshotMissing(
            f"nothing was saved before {later.day} (UTC), and no statement is kept: there is nothing to compare with",
            hint="Two times of that day can be named: `ibkr-tools show --list` has them.",
        ) from error


def _of_snapshot(data: bytes, path: "Path") -> _Side:
    from ibkr_tools.errors import ConfigError
    from ibkr_tools.fetch.snapshot import Snapshot
    from ibkr_tools.history.position_diff import Held

    snapshot = Snapshot(data, str(path))
    if "positions" not in snapshot:
        raise ConfigError(f"{path}: has no positions", hint='Add "positions" to fetch.resources in the configuration.')
    positions = [
        Held(row.account, row.conid, row.name, row.currency, row.quantity, row.value, row.value_base)
        for row in snapshot.holdings()
        if row.quantity is not None
    ]
    balances = snapshot.balances()
    bases = {account: balances.base(account) for account in snapshot.covers.accounts}
    return _Side(f"{snapshot.as_of:%Y-%m-%d %H:%M} UTC", snapshot.as_of.date(), positions, bases)


def _of_statement(app_context: AppContext, on: "date | None", *, is_exact: bool = True) -> _Side:
    from ibkr_tools.errors import UsageError
    from ibkr_tools.history.position_diff import Held

    history = history_of(app_context)
    by_account = history.positions((), on)
    days = sorted({day for day, _ in by_account.values()})
    if not days or (is_exact and on is not None and days[-1] != on):
        raise UsageError(f"no statement ends on {on}" if on else "there are no positions in any statement")
    day = days[-1]
    positions = [
        Held(item.account, item.conid, item.symbol, item.currency, item.quantity, item.value, item.value_in_base)
        for ends_on, of_account in by_account.values()
        if ends_on == day
        for item in of_account
    ]
    known: dict[str, list[str]] = {}
    for account, currency in history.base_currencies():
        known.setdefault(account, []).append(currency)
    # One that has changed it had that of the day's value.
    currencies = {account: found[0] for account, found in known.items() if len(found) == 1}
    currencies |= {value.account: value.currency for value in history.values(first=day, last=day)}
    bases = {account: currencies.get(account, "") for account, (ends_on, _) in by_account.items() if ends_on == day}
    return _Side(f"the end of {day}", day, positions, bases)


def _row(change: "PositionChange") -> dict[str, Any]:
    return {
        "account": change.account,
        "conid": change.conid,
        "name": change.name,
        "change": change.kind.value,
        "before": change.before,
        "after": change.after,
        "value_change": change.value_change,
        "by_quantity": change.by_quantity,
        "by_price": change.by_price,
        "by_currency": change.by_currency,
    }
