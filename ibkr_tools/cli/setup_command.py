"""`ibkr-tools setup`: asks what is needed, writes it, starts everything, and shows the first positions."""

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ibkr_tools.cli.app_context import AppContext, app_context_of
from ibkr_tools.cli.streams import write_out
from ibkr_tools.entrypoint import print_stderr
from ibkr_tools.errors import UsageError


def setup(
    context: typer.Context,
    username: Annotated[str | None, typer.Option(help="The read-only IBKR user.", metavar="NAME")] = None,
    account: Annotated[str | None, typer.Option(help="The account's number.", metavar="NUMBER")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input; then nothing is asked.")
    ] = False,
    schedule: Annotated[
        str | None,
        typer.Option(help="When a snapshot is saved: none, 07:00, Mon..Fri 18:00, …", metavar="WHEN"),
    ] = None,
    alerts: Annotated[
        str | None,
        typer.Option(help="How you are told: none, an address of ntfy or mail, a command as JSON.", metavar="HOW"),
    ] = None,
    simulator: Annotated[
        bool, typer.Option("--simulator", help="The simulator's user, without a question: no account is needed.")
    ] = False,
    download_gateway: Annotated[
        bool, typer.Option("--download-gateway", help="Get IBKR's gateway from IBKR, if it is not installed.")
    ] = False,
    start: Annotated[
        bool | None, typer.Option("--start/--no-start", help="Start everything and log in once, or only write files.")
    ] = None,
    unit_dir: Annotated[Path | None, typer.Option(hidden=True, help="Where drop-ins are written.")] = None,
) -> None:
    """Set everything up, or change it later: ask, check, start, log in once, show the positions (as root)."""
    from ibkr_tools.cli import prompts
    from ibkr_tools.cli.setup_dialog import SetupDialog
    from ibkr_tools.config.config_writer import read_editable
    from ibkr_tools.gateway.instance_ports import require_own_port
    from ibkr_tools.login.memory_protection import forbid_core_files, hide_memory
    from ibkr_tools.setup.own_commands import OwnCommands
    from ibkr_tools.setup.setup_run import SetupRun
    from ibkr_tools.setup.systemd_units import ADMINISTRATORS_UNITS, SystemdUnits

    prompts.require_root("setup")
    options = {"--username": username, "--account": account, "--schedule": schedule, "--alerts": alerts}
    given = {name: value for name, value in options.items() if value is not None}
    if simulator and (password_stdin or given):
        raise UsageError("--simulator has a user of its own: not with other answers")
    forbid_core_files()
    hide_memory()
    app_context = app_context_of(context)
    file, units = app_context.config_file, SystemdUnits(unit_dir or ADMINISTRATORS_UNITS)
    if simulator and app_context.instance is not None:
        raise UsageError(f"--simulator is for the instance without a name, not for {app_context.instance}")
    if unit_dir is None:
        _require_place(app_context)
    run = SetupRun(file, units, OwnCommands(app_context.options()), partial(_say, app_context))
    present = read_editable(file)
    require_own_port(app_context.instance, file, app_context.unchecked_directories.runtime)
    if simulator:
        raise typer.Exit(run.use_simulator(present, start=start is not False, may_download=lambda: download_gateway))
    state = run.require_units()
    is_asked = not password_stdin and prompts.is_interactive()
    has_password = run.has_password(present)
    dialog = SetupDialog(present, given, state, units.normalised, is_asked=is_asked)
    dialog.require_options(has_password=has_password or password_stdin)
    try:
        answers = dialog.answers()
        password = prompts.read_password() if password_stdin else None
        if is_asked:
            more = " (Enter keeps the present one)" if has_password else ""
            password = prompts.ask_password(f"Password of {answers.username}{more}", may_be_kept=has_password)
        if start is None:
            start = not is_asked or prompts.confirm("Start everything, and log in once now")
    except typer.Abort:
        print_stderr("\nnothing was changed")
        raise typer.Exit(130) from None

    def may_download() -> bool:
        if download_gateway or not is_asked:
            return download_gateway
        with suppress(typer.Abort):
            return prompts.confirm("IBKR's gateway is not installed: download it from IBKR now")
        return False

    raise typer.Exit(run.apply(present, answers, password, state, start=start, may_download=may_download))


def _require_place(app_context: AppContext) -> None:
    """Refuses a configuration that the units do not read.

    Raises:
        UsageError: it lies elsewhere.
    """
    from ibkr_tools.directories import SYSTEM_CONFIGURATION
    from ibkr_tools.installation import INSTALL_SERVICES
    from ibkr_tools.instance import directory_of

    place = directory_of(SYSTEM_CONFIGURATION, app_context.instance)
    if app_context.config_file.absolute().parent != place:
        raise UsageError(
            f"the units use {place}, and not {app_context.config_file}",
            hint=f"{INSTALL_SERVICES} makes it; without systemd write the file by hand (docs/configuration.md).",
        )


def _say(app_context: AppContext, line: str) -> None:
    from ibkr_tools.instance import in_names_of

    write_out(f"{in_names_of(line, app_context.instance)}\n")
