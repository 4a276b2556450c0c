"""`ibkr-tools status`: says how gateway, session, login and fetch are."""

from typing import Annotated

import typer

from ibkr_tools.cli.app_context import app_context_of
from ibkr_tools.cli.streams import write_out


def status(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print the status file's content as JSON.")] = False,
) -> None:
    """Say how gateway, session, login and fetch are; the exit code tells health (0: the session is up)."""
    from ibkr_tools.cli import status_report
    from ibkr_tools.status import utc_now

    document = app_context_of(context).status_file.read()
    now = utc_now()
    write_out((status_report.as_json(document, now) if json else status_report.as_text(document, now)) + "\n")
    raise typer.Exit(status_report.exit_code(document, now))
