"""`ibkr-tools status`: what the processes say of themselves."""

from typing import Annotated

import typer

from ibkr_tools.cli.common import setting_of, write_out


def status(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print the status file's content as JSON.")] = False,
) -> None:
    """Say how gateway, session, login and fetch are; the exit code tells health (0: the session is up)."""
    from ibkr_tools.cli import status_view
    from ibkr_tools.status import utc_now

    document = setting_of(context).status_file.read()
    now = utc_now()
    write_out((status_view.as_json(document, now) if json else status_view.as_text(document, now)) + "\n")
    raise typer.Exit(status_view.exit_code(document, now))
