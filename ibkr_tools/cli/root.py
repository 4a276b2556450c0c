"""The command line without its commands: the global options."""

from pathlib import Path
from typing import Annotated

import typer

from ibkr_tools import __version__
from ibkr_tools.cli.common import Setting
from ibkr_tools.directories import find_directories


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"ibkr-tools {__version__}")
        raise typer.Exit


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
    directories = find_directories(runtime=runtime_dir, state=state_dir)
    context.obj = Setting(directories=directories, config_file=config or directories.config_file, verbose=verbose)


def new_app() -> typer.Typer:
    """Returns a command line with the global options, for commands to be added."""
    app = typer.Typer(
        name="ibkr-tools",
        help="Keeps one read-only Interactive Brokers user signed in, and turns the account into files and filters.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root)
    return app
