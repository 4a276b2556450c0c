"""`ibkr-tools status`: says how gateway, session, login and fetch are, of every IBKR user on this machine."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from ibkr_tools.cli.app_context import AppContext, app_context_of
from ibkr_tools.cli.streams import standard_output, write_out
from ibkr_tools.errors import AccessDenied, ActionRequired, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ibkr_tools.cli.instance_status import InstanceStatus
    from ibkr_tools.status import Status


def status(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print the status file's content as JSON.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="With --json: one document for each instance, by its name.")
    ] = False,
) -> None:
    """Say how gateway, session, login and fetch are; the exit code tells health (0: the session is up).

    Without --instance it shows every IBKR user on this machine, and the highest of their exit codes is its own.
    """
    from ibkr_tools.cli import instance_status

    app_context = app_context_of(context)
    instance_status.require_all_with_json(every=every, json=json)
    others = instance_status.read_others(app_context, json=json) if every or not json else []
    app_context.drop_root(needs_configuration=False)
    try:
        own = _own(app_context, json=json)
    except AccessDenied:
        # Whoever is in the group of another instance alone has asked about that one.
        if all(other == instance_status.invisible(other.name) for other in others):
            raise
        own = instance_status.invisible(None)
    found = [own, *(others if json else map(_at_this_terminal, others))]
    if json:
        shown = instance_status.combine_json(found) if every else own.output
    else:
        shown = instance_status.combine_text(found)
    write_out(f"{shown}\n", is_safe=not json)
    raise typer.Exit(max(one.exit_code for one in found))


def _own(app_context: AppContext, *, json: bool) -> "InstanceStatus":
    """Returns the status of the instance that this process works for.

    Raises:
        AccessDenied: this user may not look.
        DataError: see `StatusFile.read`.
    """
    from ibkr_tools.cli import status_report
    from ibkr_tools.cli.instance_status import InstanceStatus
    from ibkr_tools.instance import in_names_of
    from ibkr_tools.status import utc_now

    document = app_context.status_file.read()
    now = utc_now()
    code = status_report.exit_code(document, now)
    # Where all is well, nobody waits for the configuration to be read.
    problem = _configuration_problem(app_context) if code not in {0, ActionRequired.exit_code} else None
    text = status_report.as_json(document, now, problem=problem) if json else _as_text(document, now, problem)
    return InstanceStatus(
        app_context.instance,
        in_names_of(text, app_context.instance),
        code if problem is None else problem.exit_code,
    )


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
    colour, width = _terminal()
    return status_report.as_text(document, now, problem=problem, colour=colour, width=width)


def _at_this_terminal(other: "InstanceStatus") -> "InstanceStatus":
    """Returns the status of another instance, whose process writes to no terminal, as it is shown at this one."""
    import msgspec

    from ibkr_tools.cli import status_report

    if not standard_output().isatty():
        return other
    colour, width = _terminal()
    return msgspec.structs.replace(other, output=status_report.fitted(other.output, colour=colour, width=width))


def _terminal() -> "tuple[Callable[[str], str], int]":
    """Returns how lines are coloured at this terminal, and its columns."""
    import shutil

    from ibkr_tools.cli import status_colours

    colour = status_colours.coloured if status_colours.is_coloured(os.environ) else str
    return colour, shutil.get_terminal_size().columns
