"""`ibkr-tools up`: runs the processes of the units under a terminal."""

from typing import Annotated

import typer

from ibkr_tools.cli.app_context import app_context_of, log_to_stderr
from ibkr_tools.simulator_ports import SIMULATOR_CONTROL_PORT


def up(
    context: typer.Context,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Run the simulator in the gateway's place: no account, no Java.")
    ] = False,
    control_port: Annotated[
        int, typer.Option(help="The simulator's control port.", min=0, max=65535)
    ] = SIMULATOR_CONTROL_PORT,
    positions: Annotated[int, typer.Option(help="The simulator's positions.", min=0, max=100_000)] = 237,
) -> None:
    """Run gateway, watchdog and logins under this terminal, without systemd; Ctrl-C ends them all."""
    from ibkr_tools import supervisor

    app_context = app_context_of(context)
    log_to_stderr(app_context)
    config = app_context.load()
    programs = supervisor.programs(app_context.options(), app_context.directories, verbose=app_context.verbose)
    if simulate:
        ports = ("--port", str(config.gateway.port), "--control-port", str(control_port))
        more = (*ports, "--account", config.account, "--positions", str(positions))
        programs = supervisor.with_simulator(programs, app_context.options(), more)
    raise typer.Exit(supervisor.Supervisor(programs, app_context.directories).run())
