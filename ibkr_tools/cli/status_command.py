"""`ibkr-tools status`: says how gateway, session, login and fetch are."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from ibkr_tools.cli.app_context import AppContext, app_context_of
from ibkr_tools.cli.streams import standard_output, write_out
from ibkr_tools.errors import ActionRequired, ConfigError

if TYPE_CHECKING:
    from datetime import datetime

    from ibkr_tools.status import Status


def status(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print the status file's content as JSON.")] = False,
) -> None:
    """Say how gateway, session, login and fetch are; the exit code tells health (0: the session is up)."""
    from ibkr_tools.cli import status_report
    from ibkr_tools.status import utc_now

    app_context = app_context_of(context)
    document = app_context.status_file.read()
    now = utc_now()
    code = status_report.exit_code(document, now)
    # Where all is well, nobody waits for the configuration to be read.
    problem = _configuration_problem(app_context) if code not in {0, ActionRequired.exit_code} else None
    text = status_report.as_json(document, now, problem=problem) if json else _as_text(document, now, problem)
    write_out(f"{text}\n", is_safe=not json)
    raise typer.Exit(code if problem is None else problem.exit_code)


def _configuration_problem(app_context: AppContext) -> ConfigError | None:
    """Returns what is wrong with the configuration; None: nothing, or this user cannot know."""
    if not os.access(app_context.config_file, os.R_OK):
        return None
    try:
        app_context.load()
    except ConfigError as error:
        return error
    return None


def _as_text(document: "Status", now: "datetime", problem: ConfigError | None) -> str:
    from ibkr_tools.cli import status_report

    if not standard_output().isatty():
        return status_report.as_text(document, now, problem=problem)
    import shutil

    from ibkr_tools.cli import status_colours

    colour = status_colours.coloured if status_colours.is_coloured(os.environ) else str
    width = shutil.get_terminal_size().columns
    return status_report.as_text(document, now, problem=problem, colour=colour, width=width)
