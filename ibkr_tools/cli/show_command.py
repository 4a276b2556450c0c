"""`ibkr-tools show`: a saved snapshot for people, without any request."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ibkr_tools.cli import completers, output_options
from ibkr_tools.cli.app_context import app_context_of
from ibkr_tools.cli.printing import Format
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
) -> None:
    """Show the last saved snapshot, without any request: tables with totals, and how old they are."""
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
    if printing.query is None and (printing.form is Format.TABLE or not printing.is_chosen):
        printing.put_table(lambda width: reader.text(width, everything=printing.everything))
        return
    printing.require_table()
    from ibkr_tools.fetch.formats import snapshot_rows

    document = reader.document()
    printing.put(lambda: [document], lambda: snapshot_rows(document, reader.resource))
