"""The commands of `ibkr-tools`."""

from pathlib import Path
from typing import Annotated

import typer

from ibkr_tools import __version__
from ibkr_tools.cli import completers
from ibkr_tools.cli.app_context import create_app_context, find_several
from ibkr_tools.cli.command_table import COMMANDS
from ibkr_tools.cli.lazy_commands import LazyCommands, lazy_group
from ibkr_tools.cli.output_options import PrintingCommand, SeveralInstancesCommand
from ibkr_tools.cli.streams import write_out
from ibkr_tools.errors import UsageError
from ibkr_tools.installation import LAYOUT
from ibkr_tools.instance import PLAIN

PRINTING_COMMANDS = ("fetch", "api", "show", "diff")
"""Commands with the options of how a result is printed."""

app = typer.Typer(
    name="ibkr-tools",
    cls=lazy_group(
        LazyCommands(
            {name: f"ibkr_tools.cli.{entry.module}" for name, entry in COMMANDS.items()},
            {
                name: SeveralInstancesCommand if COMMANDS[name].is_over_several else PrintingCommand
                for name in PRINTING_COMMANDS
            },
        )
    ),
    help="Keeps one read-only Interactive Brokers user signed in, and turns the account into files and tables.",
    no_args_is_help=True,
    # Scripts of our own: Typer's have the shell evaluate what they are told.
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS_STARTED_AS_ROOT = frozenset(
    {"config", "doctor", "flex", "login", "logs", "password", "resources", "setup", "status"}
)
"""Commands that root begins as root: they read what only root may read, or have a child read of each instance, and
touch no directory of others before they become the user of the units themselves."""


PLAIN_COMMANDS = frozenset({"simulate", "up"})
"""Commands that know of the instance without a name only."""


def _print_version(is_requested: bool) -> None:
    if is_requested:
        write_out(f"ibkr-tools {__version__}\n")
        raise typer.Exit


def _print_completion(shell: str | None) -> None:
    if shell is not None:
        from ibkr_tools.cli.completion_scripts import read_script

        write_out(read_script(shell))
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="The configuration.", metavar="FILE", readable=False, autocompletion=completers.files),
    ] = None,
    runtime_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where the status file is.", metavar="DIR", readable=False, autocompletion=completers.directories
        ),
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where snapshots and the gateway are.",
            metavar="DIR",
            readable=False,
            autocompletion=completers.directories,
        ),
    ] = None,
    instance: Annotated[
        list[str] | None,
        typer.Option(
            help="Which of several IBKR users on this machine; may be repeated for show and history.",
            metavar="NAME",
            autocompletion=completers.instances,
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more, and show where an error came from.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    show_completion: Annotated[
        str | None,
        typer.Option(
            "--show-completion",
            help="Print the script that has a shell complete: bash, zsh or fish.",
            metavar="SHELL",
            callback=_print_completion,
            is_eager=True,
            autocompletion=completers.choices("bash", "zsh", "fish"),
        ),
    ] = None,
) -> None:
    """Resolves the global options."""
    del version, show_completion
    command, name = context.invoked_subcommand or "", instance[0] if instance else None
    several = find_several(
        instance or (),
        command,
        is_over_several=command in COMMANDS and COMMANDS[command].is_over_several,
        is_named=any((config, runtime_dir, state_dir)),
    )
    if several is not None:
        context.obj = several
        return
    if name not in {None, PLAIN} and command in PLAIN_COMMANDS:
        raise UsageError(
            f"{command} is for the instance without a name, not for {name}",
            hint=f"docs/systemd.md says how another one is set up: {LAYOUT.install} --instance NAME.",
        )
    context.obj = app_context = create_app_context(config, runtime_dir, state_dir, instance=name, verbose=verbose)
    if command not in COMMANDS_STARTED_AS_ROOT:
        app_context.drop_root()
