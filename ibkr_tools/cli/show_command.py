"""`ibkr-tools show`: a saved snapshot for people, without any request."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ibkr_tools.cli import completers, output_options
from ibkr_tools.cli.app_context import app_context_of
from ibkr_tools.cli.snapshot_reader import SnapshotReader
from ibkr_tools.errors import UsageError


def show(
    context: typer.Context,
    resource: Annotated[
        str | None,
        typer.Argument(
            help="positions, summary, ledger, allocation, performance, periods or any other part; none: what is there.",
            metavar="[PART]",
            show_default=False,
            autocompletion=completers.parts,
        ),
    ] = None,
    account: Annotated[
        list[str] | None,
        typer.Option(
            "--account", help="Only this account; may be repeated.", metavar="ID", autocompletion=completers.accounts
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            help="The last copy of a day (2026-11-22), or up to a time (2026-11-22T12:00); UTC.",
            metavar="DATE",
            autocompletion=completers.copies,
        ),
    ] = None,
    on: Annotated[
        datetime | None,
        typer.Option(
            help="Positions at the end of this day, as statements have them.", metavar="DAY", formats=["%Y-%m-%d"]
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="This file, packed or not.", metavar="FILE", autocompletion=completers.files)
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the copies that are saved: what --at takes.")] = False,
) -> None:
    """Show the last saved snapshot, without any request: tables with totals, and how old they are."""
    if list_:
        _list_copies(context, is_about_one=bool(resource or account or at or file))
        return
    if on is not None:
        if resource != "positions" or at is not None or file is not None:
            raise UsageError(
                "--on is of positions, and of no snapshot: show positions --on DAY",
                hint="--at DAY shows what was saved on that day.",
            )
        # Only where the history is wanted.
        from ibkr_tools.cli.history_positions_commands import put_positions

        put_positions(context, account, on.date())
        return
    printing = output_options.printing_of(context)
    reader = SnapshotReader(app_context_of(context), resource, account or (), at=at, file=file)
    if printing.shows_table:
        printing.put_table(lambda width: reader.text(width, everything=printing.everything))
        return
    printing.require_table()
    from ibkr_tools.fetch.formats import snapshot_rows

    document = reader.document()
    printing.put(lambda: [document], lambda: snapshot_rows(document, reader.resource))


def _list_copies(context: typer.Context, *, is_about_one: bool) -> None:
    """Prints a row for each dated copy, the newest first.

    Raises:
        UsageError: one snapshot, or a part of one, is named too.
        ConfigError: this user may not look.
    """
    from ibkr_tools.cli.history_options import put_rows
    from ibkr_tools.errors import UsageError
    from ibkr_tools.fetch.snapshot_store import describe_copies, list_copies
    from ibkr_tools.views.text_table import Column, format_table

    if is_about_one:
        raise UsageError("--list is about all copies: leave out the part, --account, --at and --file")
    directory = app_context_of(context).directories.snapshots
    copies = list_copies(directory)
    rows = [{"at": f"{copy.saved_at:%Y-%m-%dT%H:%M:%S}", "file": str(copy.path)} for copy in reversed(copies)]

    def table(width: int | None) -> str:
        if not copies:
            return f"no copy is saved in {directory}; `ibkr-tools fetch --save` saves one"
        columns = [Column("Saved (UTC)", is_text=True), Column("File", is_text=True)]
        return (
            f"{format_table(columns, [list(row.values()) for row in rows], width=width)}\n{describe_copies(copies)} UTC"
        )

    put_rows(context, "copies", rows, table)
