"""`ibkr-tools history …`: the account over time, from the statements that are kept."""

from typing import TYPE_CHECKING, Annotated

import typer

from ibkr_tools.cli import completers, history_positions_commands, history_returns
from ibkr_tools.cli.app_context import app_context_of
from ibkr_tools.cli.help_command import HelpCommand, HelpGroup
from ibkr_tools.cli.history_options import (
    AccountOption,
    Days,
    FromOption,
    PeriodOption,
    ToOption,
    database_of,
    days_of,
    put_drawing,
    put_history,
    rebuild_history,
    split_of,
)
from ibkr_tools.cli.output_options import SeveralInstancesCommand
from ibkr_tools.cli.streams import write_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ibkr_tools.history.records import CashKind

app = typer.Typer(
    cls=HelpGroup, no_args_is_help=True, help="Show the account over time, from the statements that are kept."
)

ByOption = Annotated[
    str | None,
    typer.Option(
        help="Add up by month, year, instrument, currency or kind.",
        metavar="GROUP",
        show_default=False,
        autocompletion=completers.choices("month", "year", "instrument", "currency", "kind"),
    ),
]


@app.command(cls=HelpCommand)
def rebuild(context: typer.Context) -> None:
    """Make the history anew from the statements that are kept; the same statements make the same history."""
    app_context = app_context_of(context)
    app_context.require_rights(app_context.directories.statements)
    rebuilt = rebuild_history(app_context)
    write_out(
        f"history: {rebuilt.values:,} values, {rebuilt.bookings:,} bookings and {rebuilt.trades:,} trades "
        f"of {rebuilt.files:,} files\n"
    )


@app.command(cls=SeveralInstancesCommand)
def values(
    context: typer.Context,
    account: AccountOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    period: PeriodOption = None,
    by: Annotated[
        str | None,
        typer.Option(help="Only the last day of each month or year.", metavar="month|year", show_default=False),
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw them, and what was paid in, instead of a table.")] = False,
) -> None:
    """Show the net asset value of each day: of statements, else of PortfolioAnalyst, else of a saved snapshot."""
    from ibkr_tools.errors import UsageError
    from ibkr_tools.history.records import Source
    from ibkr_tools.history.summary import last_of_each, value_rows

    split = split_of(by)
    history, days = database_of(context), days_of(from_, to, period)
    if plot and split:
        raise UsageError("--plot draws every day: leave out --by")
    if plot:
        from ibkr_tools.history.flows import external_flows
        from ibkr_tools.views.value_plot import format_value_plot

        closes = history.values(account or (), *days)
        flows = external_flows(history.bookings(accounts=account or ()), history.transfers(account or ()))
        put_drawing(context, "--plot", lambda width: format_value_plot(closes, flows, width=width))
        return
    found = history.values(account or (), *days, sources=tuple(Source))
    rows = value_rows(found if split is None else last_of_each(split, found))
    put_history(context, "values", rows, history, account or ())


@app.command(cls=SeveralInstancesCommand)
def flows(
    context: typer.Context,
    account: AccountOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    period: PeriodOption = None,
    by: ByOption = None,
) -> None:
    """Show deposits, withdrawals and transfers."""
    from ibkr_tools.history.records import CashKind

    _put_bookings(context, "flows", (CashKind.DEPOSIT,), account, days_of(from_, to, period), by)


@app.command(cls=SeveralInstancesCommand)
def income(
    context: typer.Context,
    account: AccountOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    period: PeriodOption = None,
    by: ByOption = None,
) -> None:
    """Show dividends, interest, the taxes withheld from them, and other income."""
    from ibkr_tools.history.records import INCOME_KINDS

    _put_bookings(context, "income", INCOME_KINDS, account, days_of(from_, to, period), by)


@app.command(cls=SeveralInstancesCommand)
def fees(
    context: typer.Context,
    account: AccountOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    period: PeriodOption = None,
    by: ByOption = None,
) -> None:
    """Show fees that are booked by themselves; the commissions of trades are not among them."""
    from ibkr_tools.history.records import CashKind

    _put_bookings(context, "fees", (CashKind.FEE,), account, days_of(from_, to, period), by)


def _put_bookings(
    context: typer.Context,
    name: str,
    kinds: "Sequence[CashKind]",
    account: list[str] | None,
    days: Days,
    by: str | None,
) -> None:
    from ibkr_tools.errors import UsageError
    from ibkr_tools.history.records import CashKind
    from ibkr_tools.history.summary import Grouping, booking_rows, grouped_rows, in_order_of_days

    if by not in {None, *Grouping}:
        raise UsageError(f"--by {by!r}: expected one of {', '.join(Grouping)}")
    database = database_of(context)
    found = in_order_of_days(
        database.bookings(kinds, account or (), *days),
        database.transfers(account or (), *days) if CashKind.DEPOSIT in kinds else (),
    )
    rows = grouped_rows(found, Grouping(by)) if by else booking_rows(found)
    put_history(context, name, rows, database, account or ())


for command in (
    history_positions_commands.trades,
    history_positions_commands.positions,
    history_positions_commands.check,
    history_returns.returns,
):
    app.command(cls=SeveralInstancesCommand)(command)
