"""What the commands of `ibkr-tools history` share: which days, which accounts, and how rows are printed."""

from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ibkr_tools.cli import completers, output_options
from ibkr_tools.cli.app_context import app_context_of
from ibkr_tools.entrypoint import print_stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ibkr_tools.cli.app_context import AppContext
    from ibkr_tools.config.schema import Config
    from ibkr_tools.history.periods import Split
    from ibkr_tools.history.postgres import PostgresHistory
    from ibkr_tools.history.queries import HistoryQueries
    from ibkr_tools.history.rebuild import Rebuilt
    from ibkr_tools.history.summary import Cell

DAY_FORMATS = ["%Y-%m-%d"]

FromOption = Annotated[
    datetime | None, typer.Option("--from", help="The first day.", metavar="DAY", formats=DAY_FORMATS)
]
ToOption = Annotated[datetime | None, typer.Option("--to", help="The last day.", metavar="DAY", formats=DAY_FORMATS)]
PeriodOption = Annotated[
    str | None,
    typer.Option(
        help="In place of both: ytd, 1y, 6m, 2025, 2025-03.",
        metavar="PERIOD",
        show_default=False,
        autocompletion=completers.periods,
    ),
]
AccountOption = Annotated[
    list[str] | None,
    typer.Option(
        "--account", help="Only this account; may be repeated.", metavar="ID", autocompletion=completers.accounts
    ),
]

Days = tuple[date | None, date | None]


def database_of(context: typer.Context) -> "HistoryQueries":
    """Returns the history, to be read: in the database that the configuration names, else in the file."""
    return history_of(app_context_of(context))


def history_of(app_context: "AppContext") -> "HistoryQueries":
    """Returns the history, to be read; see `database_of`."""
    from ibkr_tools.history.history_location import open_history

    return open_history(app_context.directories.history, _config_of(app_context), app_context.database_password)


def postgres_of(app_context: "AppContext") -> "PostgresHistory | None":
    """Returns the database that the configuration names; None: none, or there is no configuration.

    Raises:
        ConfigError: the configuration is wrong or cannot be read, or the password cannot.
    """
    from ibkr_tools.history import history_location

    return history_location.postgres_of(_config_of(app_context), app_context.database_password)


def _config_of(app_context: "AppContext") -> "Config | None":
    return app_context.load() if app_context.is_configured else None


def rebuild_history(app_context: "AppContext") -> "Rebuilt":
    """Makes the history anew, where the configuration has it; see `history.rebuild.rebuild`."""
    from ibkr_tools.flex.statement_archive import StatementArchive
    from ibkr_tools.history.database import rebuilding, write_file
    from ibkr_tools.history.rebuild import rebuild

    directories = app_context.directories
    archive = StatementArchive(directories.statements)
    if (postgres := postgres_of(app_context)) is not None:
        return rebuild(archive, directories.snapshots, postgres.merge)
    with rebuilding(directories.history):
        return rebuild(archive, directories.snapshots, partial(write_file, directories.history))


def day_of(option: datetime | None) -> date | None:
    """Returns the day that an option names."""
    return None if option is None else option.date()


def days_of(first: datetime | None, last: datetime | None, period: str | None) -> Days:
    """Returns the first and the last day that the options mean; None: no end on that side.

    Raises:
        UsageError: both ways are used, the period is none, or the last day is before the first.
    """
    from ibkr_tools.errors import UsageError

    if period is not None:
        from ibkr_tools.history.periods import parse_period

        if first or last:
            raise UsageError("--period and --from or --to are two ways to say the same: use one of them")
        return parse_period(period, datetime.now(UTC).date())
    if first and last and last < first:
        raise UsageError(f"--to {last:%Y-%m-%d} is before --from {first:%Y-%m-%d}")
    return day_of(first), day_of(last)


def split_of(by: str | None) -> "Split | None":
    """Returns the periods that `--by` names.

    Raises:
        UsageError: it names none.
    """
    from ibkr_tools.errors import UsageError
    from ibkr_tools.history.periods import Split

    if by not in {None, *Split}:
        raise UsageError(f"--by {by!r}: expected one of {', '.join(Split)}")
    return None if by is None else Split(by)


def put_rows(
    context: typer.Context,
    name: str,
    rows: "Sequence[Mapping[str, Cell | float]]",
    table: "Callable[[int | None], str]",
) -> None:
    """Prints rows: a table, unless a person has chosen another form.

    Args:
        context: the command's.
        name: what the rows are.
        rows: a mapping each, of the same keys.
        table: makes the table for a width of the terminal; None: all of it.
    """
    import msgspec

    from ibkr_tools.fetch.formats import Rows

    printing = output_options.printing_of(context)
    # The digits of each number as they are, and no quotes around them.
    encoder = msgspec.json.Encoder(decimal_format="number")
    listed = Rows(name)
    for row in rows:
        listed.add(encoder.encode(row))
    if printing.shows_table:
        printing.put_table(table)
        return
    printing.require_table()
    printing.put(lambda: [b"[", b",".join(listed.lines()), b"]"], lambda: listed)


def put_drawing(context: typer.Context, option: str, draw: "Callable[[int | None], str]") -> None:
    """Prints what an option draws for a width of the terminal, in place of rows.

    Raises:
        UsageError: a form of rows was chosen too.
    """
    from ibkr_tools.errors import UsageError

    printing = output_options.printing_of(context)
    if not printing.shows_table:
        raise UsageError(f"{option} is for people: leave out what chooses another form")
    printing.put_table(draw)


def put_history(
    context: typer.Context,
    name: str,
    rows: "Sequence[Mapping[str, Cell]]",
    database: "HistoryQueries",
    accounts: "Sequence[str]",
) -> None:
    """Prints rows of the history, and notes which of the accounts that a person has named are not in it.

    Args:
        context: the command's.
        name: what the rows are.
        rows: see `put_rows`.
        database: what they are of; it knows the base currencies.
        accounts: those that were asked for; none: all.
    """
    from ibkr_tools.views.history_table import IN_BASE, format_base_currencies, format_history

    currencies = database.base_currencies() if accounts or (rows and IN_BASE in rows[0]) else []
    note_unknown(accounts, dict(currencies))
    in_base = format_base_currencies([pair for pair in currencies if not accounts or pair[0] in accounts])
    put_rows(context, name, rows, lambda width: format_history(rows, base_currencies=in_base, width=width))


def note_unknown(accounts: "Sequence[str]", known: "Iterable[str]") -> None:
    """Says on standard error which of these accounts the history has no value of."""
    names = list(known)
    for account in accounts:
        if account not in names:
            print_stderr(f"note: {account}: not in the history, which has {', '.join(names) or 'no account'}", 20)
