"""The commands of `ibkr-tools`."""

from pathlib import Path
from typing import Annotated

import typer

from ibkr_tools import __version__
from ibkr_tools.cli import (
    alert_command,
    api_command,
    config_commands,
    diff_command,
    fetch_command,
    flex_commands,
    gateway_commands,
    history_commands,
    login_commands,
    resources_command,
    show_command,
    simulate_command,
    status_command,
    up_command,
    watchdog_command,
)
from ibkr_tools.cli.app_context import create_app_context
from ibkr_tools.cli.output_options import PrintingCommand
from ibkr_tools.cli.streams import write_out

app = typer.Typer(
    name="ibkr-tools",
    help="Keeps one read-only Interactive Brokers user signed in, and turns the account into files and filters.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(gateway_commands.app, name="gateway")
app.add_typer(config_commands.app, name="config")
app.add_typer(flex_commands.app, name="flex")
app.add_typer(history_commands.app, name="history")

COMMANDS = (
    fetch_command.fetch,
    api_command.api,
    show_command.show,
    diff_command.diff,
    resources_command.resources,
    login_commands.login,
    login_commands.unlock,
    login_commands.pause,
    login_commands.resume,
    alert_command.alert,
    watchdog_command.watchdog,
    status_command.status,
    up_command.up,
    simulate_command.simulate,
)
"""Every command that is not in a group, in the order of the help; the name of the function is the command's."""

PRINTING_COMMANDS = frozenset({fetch_command.fetch, api_command.api, show_command.show, diff_command.diff})
"""Commands with the options of how a result is printed."""

for command in COMMANDS:
    app.command(cls=PrintingCommand if command in PRINTING_COMMANDS else None)(command)

COMMANDS_STARTED_AS_ROOT = frozenset({"config", "flex", "login", "resources"})
"""Commands that root begins as root: they read what only root may read, and touch no directory of others before they
become the user of the units themselves."""


def _print_version(is_requested: bool) -> None:
    if is_requested:
        write_out(f"ibkr-tools {__version__}\n")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="The configuration.", metavar="FILE")] = None,
    runtime_dir: Annotated[Path | None, typer.Option(help="Where the status file is.", metavar="DIR")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Where snapshots and the gateway are.", metavar="DIR")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more, and show where an error came from.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Resolves the global options."""
    del version
    context.obj = app_context = create_app_context(config, runtime_dir, state_dir, verbose=verbose)
    if context.invoked_subcommand not in COMMANDS_STARTED_AS_ROOT:
        app_context.drop_root()
