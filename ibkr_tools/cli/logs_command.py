"""`ibkr-tools logs`: what the units have written to the journal."""

import sys
from typing import Annotated

import typer

from ibkr_tools.errors import UsageError

LINES_SHOWN = 50


def unit_pattern(name: str | None) -> str:
    """Returns what journalctl is given for a unit: `login`, `ibkr-login` and `ibkr-login.service` are one; None: all.

    Raises:
        UsageError: no unit of ours is called like that.
    """
    from ibkr_tools.doctor.shipped_units import shipped_folder
    from ibkr_tools.instance import current_instance

    instance = current_instance()
    end = f"*@{instance}*" if instance else "*"
    if name is None:
        return f"ibkr-{end}"
    folder = shipped_folder()
    known = sorted(
        {path.stem.removeprefix("ibkr-").rstrip("@") for path in folder.glob("ibkr-*.*[!d]")} if folder else ()
    )
    short = name.removeprefix("ibkr-").removesuffix(".service")
    if short not in known:
        raise UsageError(f"{name!r} is no unit of ours", hint=f"There are {', '.join(known)}.")
    return f"ibkr-{short}{end}"


def logs(
    unit: Annotated[
        str | None, typer.Argument(help="One unit, such as login or watchdog; by itself all.", show_default=False)
    ] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
    warnings: Annotated[bool, typer.Option("-w", "--warnings", help="Warnings and errors alone.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", help="How many.", metavar="N", min=0)] = LINES_SHOWN,
    since: Annotated[
        str | None, typer.Option(help="From then on, as journalctl has it: today, 09:00, '-2h'.", metavar="TIME")
    ] = None,
) -> None:
    """Show what the units have written to the journal."""
    import os
    import shutil

    from ibkr_tools import journal_access
    from ibkr_tools.errors import ConfigError
    from ibkr_tools.installation import INSTALL_SERVICES

    pattern = unit_pattern(unit)
    program = shutil.which("journalctl", path="/usr/bin:/bin")
    if program is None:
        raise ConfigError(
            "no journalctl: this machine does not run systemd", hint="`ibkr-tools up` logs to its terminal."
        )
    journal_access.require_journal(sys.argv[1:])
    if not journal_access.has_entries(program, pattern):
        raise ConfigError(f"the journal has nothing of {pattern}", hint=INSTALL_SERVICES)
    options = [f"--unit={pattern}", f"--lines={lines}", "--output=short-iso", "--quiet"]
    options += ["--follow"] if follow else []
    options += ["--priority=warning"] if warnings else []
    options += [f"--since={since}"] if since is not None else []
    os.execv(program, [program, *options])  # noqa: S606  # a program of systemd, without a shell
