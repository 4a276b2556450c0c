"""`ibkr-tools up`: runs the processes of the units under a terminal."""

import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ibkr_tools.cli.app_context import AppContext, app_context_of, create_app_context, log_to_stderr
from ibkr_tools.entrypoint import print_stderr
from ibkr_tools.simulator_ports import SIMULATOR_CONTROL_PORT


def up(
    context: typer.Context,
    simulate: Annotated[
        bool,
        typer.Option(
            "--simulate", help="Run the simulator in the gateway's place: no account, no Java, no configuration."
        ),
    ] = False,
    control_port: Annotated[
        int | None,
        typer.Option(
            help=f"The simulator's control port; none: {SIMULATOR_CONTROL_PORT}, or a free one.",
            metavar="PORT",
            min=0,
            max=65535,
            show_default=False,
        ),
    ] = None,
    positions: Annotated[
        int, typer.Option(help="The simulator's positions.", metavar="COUNT", min=0, max=100_000)
    ] = 237,
) -> None:
    """Run gateway, watchdog and logins under this terminal, without systemd; Ctrl-C ends them all."""
    from ibkr_tools import supervisor

    app_context = app_context_of(context)
    log_to_stderr(app_context)
    with ExitStack() as stack:
        if simulate and not app_context.is_named:
            app_context = stack.enter_context(_simulated_user(app_context))
        app_context.require_rights(app_context.directories.state)
        config = app_context.load()
        programs = supervisor.programs(app_context.options(), app_context.directories, verbose=app_context.verbose)
        if simulate:
            control = _free_port(SIMULATOR_CONTROL_PORT) if control_port is None else control_port
            ports = ("--port", str(config.gateway.port), "--control-port", str(control))
            more = (*ports, "--account", config.account, "--positions", str(positions))
            programs = supervisor.with_simulator(programs, app_context.options(), more)
            typed = shlex.join(["ibkr-tools", *app_context.options()])
            print_stderr(f"in another terminal: {typed} status\n(and in place of status: fetch --table, show, …)", 20)
        code = supervisor.Supervisor(programs, app_context.directories).run()
    raise typer.Exit(code)


@contextmanager
def _simulated_user(app_context: AppContext) -> Iterator[AppContext]:
    """Lends a user of the simulator: a configuration and directories of its own, which are gone afterwards.

    Nothing that is simulated comes near what an installation has saved.
    """
    import tempfile

    import msgspec

    with tempfile.TemporaryDirectory(prefix="ibkr-simulated-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        # The browser of a root user runs as somebody else, who has to reach his profile in here.
        directory.chmod(0o711)
        file = directory / "config.json"
        file.touch(mode=0o600)
        document = {
            "username": "demo-reader",
            "password": "demo-password",
            "account": "U1234567",
            "gateway": {"port": _free_port(0)},
        }
        file.write_bytes(msgspec.json.encode(document))
        yield create_app_context(file, directory / "run", directory / "state", verbose=app_context.verbose)


def _free_port(wanted: int) -> int:
    """Returns `wanted` if nobody listens there on 127.0.0.1, else a port that is free at the moment."""
    import socket
    from contextlib import suppress

    for port in (wanted, 0):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)) as listener:
            found: int = listener.getsockname()[1]
            return found
    return wanted
