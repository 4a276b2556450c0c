"""`ibkr-tools history trades`, `positions` and `check`: what was bought, what was held, and whether it is so."""

from datetime import datetime
from typing import Annotated

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
    put_rows,
)
from ibkr_tools.entrypoint import print_stderr


def trades(
    context: typer.Context,
    account: AccountOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    period: PeriodOption = None,
) -> None:
    """Show every execution; one that was cancelled, its cancellation and what was booked anew are all there."""
    from ibkr_tools.history.summary import trade_rows

    found = database_of(context).trades(account or (), *days_of(from_, to, period))
    put_rows(context, "history_trades", trade_rows(found))


def positions(
    context: typer.Context,
    account: AccountOption = None,
    on: Annotated[
        datetime | None,
        typer.Option(help="At the end of this day; else of the newest one.", metavar="DAY", formats=DAY_FORMATS),
    ] = None,
) -> None:
    """Show what was held at the end of a day: of the last one that a statement ends with."""
    from ibkr_tools.history.summary import position_rows

    wanted = day_of(on)
    found = database_of(context).positions(account or (), wanted)
    for name, (day, _) in found.items():
        if wanted is not None and day != wanted:
            print_stderr(f"note: {name}: no statement ends on {wanted}; the positions are those of {day}", 20)
    put_rows(
        context, "history_positions", position_rows(held for _, of_account in found.values() for held in of_account)
    )
