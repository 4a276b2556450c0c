"""`ibkr-tools history …`: the account over time, from the statements that are kept."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ibkr_tools.cli import output_options
from ibkr_tools.cli.app_context import app_context_of
from ibkr_tools.cli.output_options import PrintingCommand
from ibkr_tools.cli.printing import Format
from ibkr_tools.cli.streams import write_out

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ibkr_tools.history.database import HistoryDatabase
    from ibkr_tools.history.records import CashKind
    from ibkr_tools.history.summary import Cell

app = typer.Typer(no_args_is_help=True, help="Show the account over time, from the statements that are kept.")

_DAY_FORMATS = ["%Y-%m-%d"]

FromOption = Annotated[
    datetime | None, typer.Option("--from", help="The first day.", metavar="DAY", formats=_DAY_FORMATS)
]
ToOption = Annotated[datetime | None, typer.Option("--to", help="The last day.", metavar="DAY", formats=_DAY_FORMATS)]
AccountOption = Annotated[
    list[str] | None, typer.Option("--account", help="Only this account; may be repeated.", metavar="ID")
]
ByOption = Annotated[
    str | None,
    typer.Option(help="Add up by month, year, instrument, currency or kind.", metavar="GROUP", show_default=False),
]


@app.command()
def rebuild(context: typer.Context) -> None:
    """Make the history anew from the statements that are kept; the same statements make the same history."""
    from ibkr_tools.flex.statement_archive import StatementArchive
    from ibkr_tools.history.rebuild import rebuild as rebuild_database

    directories = app_context_of(context).directories
    rebuilt = rebuild_database(StatementArchive(directories.statements), directories.history)
    write_out(f"history: {rebuilt.values:,} values and {rebuilt.bookings:,} bookings of {rebuilt.files:,} files\n")


@app.command(cls=PrintingCommand)
def values(
    context: typer.Context,
    account: AccountOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    monthly: Annotated[bool, typer.Option("--monthly", help="Only the last day of each month.")] = False,
) -> None:
    """Show the net asset value of each day."""
    from ibkr_tools.history.summary import last_of_each_month, value_rows

    found = open_database(context).values(account or (), day_of_option(from_), day_of_option(to))
    put_rows(context, "values", value_rows(last_of_each_month(found) if monthly else found))


@app.command(cls=PrintingCommand)
def flows(
    context: typer.Context,
    account: AccountOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    by: ByOption = None,
) -> None:
    """Show deposits and withdrawals."""
    from ibkr_tools.history.records import CashKind

    _put_bookings(context, "flows", (CashKind.DEPOSIT,), account, (from_, to), by)


@app.command(cls=PrintingCommand)
def income(
    context: typer.Context,
    account: AccountOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    by: ByOption = None,
) -> None:
    """Show dividends, interest, and the taxes withheld from them."""
    from ibkr_tools.history.records import CashKind

    kinds = (CashKind.DIVIDEND, CashKind.INTEREST, CashKind.TAX)
    _put_bookings(context, "income", kinds, account, (from_, to), by)


@app.command(cls=PrintingCommand)
def fees(
    context: typer.Context,
    account: AccountOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    by: ByOption = None,
) -> None:
    """Show fees that are booked by themselves; the commissions of trades are not among them."""
    from ibkr_tools.history.records import CashKind

    _put_bookings(context, "fees", (CashKind.FEE,), account, (from_, to), by)


def open_database(context: typer.Context) -> "HistoryDatabase":
    """Returns the database of this command's directories."""
    from ibkr_tools.history.database import HistoryDatabase

    app_context = app_context_of(context)
    return HistoryDatabase(app_context.directories.history)


def day_of_option(option: datetime | None) -> date | None:
    """Returns the day that an option names."""
    return None if option is None else option.date()


def _put_bookings(
    context: typer.Context,
    name: str,
    kinds: "Sequence[CashKind]",
    account: list[str] | None,
    days: tuple[datetime | None, datetime | None],
    by: str | None,
) -> None:
    from ibkr_tools.errors import UsageError
    from ibkr_tools.history.summary import Grouping, booking_rows, grouped_rows

    if by not in {None, *Grouping}:
        raise UsageError(f"--by {by!r}: expected one of {', '.join(Grouping)}")
    found = open_database(context).bookings(kinds, account or (), day_of_option(days[0]), day_of_option(days[1]))
    put_rows(context, name, grouped_rows(found, Grouping(by)) if by else booking_rows(found))


def put_rows(
    context: typer.Context,
    name: str,
    rows: "Sequence[Mapping[str, Cell | float]]",
    table: "Callable[[int | None], str] | None" = None,
) -> None:
    """Prints rows: a table, unless a person has chosen another form.

    Args:
        context: the command's.
        name: what the rows are.
        rows: a mapping each, of the same keys.
        table: makes the table for a width of the terminal; default: a column for each key.
    """
    import msgspec

    from ibkr_tools.fetch.formats import Rows

    printing = output_options.printing_of(context)
    # The digits of each number as they are, and no quotes around them.
    encoder = msgspec.json.Encoder(decimal_format="number")
    listed = Rows(name)
    for row in rows:
        listed.add(encoder.encode(row))
    if (
        printing.query is None
        and (printing.form is Format.TABLE or not printing.is_chosen)
        and printing.columns is None
    ):
        from ibkr_tools.views import format_rows

        printing.put_table(table or (lambda width: format_rows(listed, everything=printing.everything, width=width)))
        return
    printing.require_table()
    printing.put(lambda: [b"[", b",".join(listed.lines()), b"]"], lambda: listed)
