"""`ibkr-tools history trades`, `positions` and `check`: what was bought, what was held, and whether it is so."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ibkr_tools.cli.history_options import (
    DAY_FORMATS,
    AccountOption,
    FromOption,
    PeriodOption,
    ToOption,
    database_of,
    day_of,
    days_of,
    put_history,
)
from ibkr_tools.entrypoint import print_stderr

if TYPE_CHECKING:
    from datetime import date

_MAX_NAMED = 5
"""So many contradictions are named in the error."""


def trades(
    context: typer.Context,
    account: AccountOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    period: PeriodOption = None,
) -> None:
    """Show every execution; one that was cancelled, its cancellation and what was booked anew are all there."""
    from ibkr_tools.history.summary import trade_rows

    database = database_of(context)
    found = database.trades(account or (), *days_of(from_, to, period))
    put_history(context, "history_trades", trade_rows(found), database, account or ())


def positions(
    context: typer.Context,
    account: AccountOption = None,
    on: Annotated[
        datetime | None,
        typer.Option(help="At the end of this day; else of the newest one.", metavar="DAY", formats=DAY_FORMATS),
    ] = None,
) -> None:
    """Show what was held at the end of a day: of the last one that a statement ends with."""
    put_positions(context, account, day_of(on))


def put_positions(context: typer.Context, account: list[str] | None, wanted: "date | None") -> None:
    """Prints what was held at the end of a day; None: of the newest one that is known."""
    from ibkr_tools.history.summary import position_rows

    database = database_of(context)
    found = database.positions(account or (), wanted)
    for name, (day, _) in found.items():
        if wanted is not None and day != wanted:
            print_stderr(f"note: {name}: no statement ends on {wanted}; the positions are those of {day}", 20)
    rows = position_rows(held for _, of_account in found.values() for held in of_account)
    put_history(context, "history_positions", rows, database, account or ())


def check(context: typer.Context, account: AccountOption = None) -> None:
    """Compare the newest statement with the snapshot saved on its last day; exit code 65 if they contradict."""
    from ibkr_tools.cli.app_context import app_context_of
    from ibkr_tools.errors import DataError
    from ibkr_tools.history.history_check import check_history
    from ibkr_tools.history.snapshot_comparison import comparison_rows

    database = database_of(context)
    found = check_history(database, app_context_of(context).directories.snapshots, account or ())
    for item in found:
        print_stderr(f"note: {item.account}: the statement of {item.day} and {item.snapshot}", 20)
    compared = [comparison for item in found for comparison in item.comparisons]
    put_history(context, "history_check", comparison_rows(compared), database, account or ())
    if contradictions := [item for item in compared if not item.agrees]:
        names = ", ".join(f"{item.account} {item.what}" for item in contradictions[:_MAX_NAMED])
        more = f" and {len(contradictions) - _MAX_NAMED} more" if len(contradictions) > _MAX_NAMED else ""
        raise DataError(
            f"statement and snapshot contradict each other: {names}{more}",
            hint="Import the newest statement; if it stays, compare both with Client Portal.",
        )
