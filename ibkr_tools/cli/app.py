"""The commands of `ibkr-tools`."""

from pathlib import Path
from typing import Annotated

import typer

from ibkr_tools import __version__
from ibkr_tools.cli import (
    alert_command,
    api_command,
    config_commands,
    fetch_command,
    gateway_commands,
    login_commands,
    resources_command,
    show_command,
)
from ibkr_tools.cli.app_context import app_context_of, create_app_context, log_to_stderr
from ibkr_tools.cli.output_options import PrintingCommand
from ibkr_tools.cli.streams import write_out
from ibkr_tools.simulator_ports import SIMULATOR_CONTROL_PORT, SIMULATOR_PORT

app = typer.Typer(
    name="ibkr-tools",
    help="Keeps one read-only Interactive Brokers user signed in, and turns the account into files and filters.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(gateway_commands.app, name="gateway")
app.add_typer(config_commands.app, name="config")
for reader in (fetch_command.fetch, api_command.api, show_command.show):
    app.command(cls=PrintingCommand)(reader)
for command in (
    resources_command.resources,
    login_commands.login,
    login_commands.unlock,
    login_commands.pause,
    login_commands.resume,
    alert_command.alert,
):
    app.command()(command)


COMMANDS_STARTED_AS_ROOT = frozenset({"config", "login", "resources"})
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


@app.command()
def watchdog(context: typer.Context) -> None:
    """Keep the session alive, notice its loss, have it renewed (what ibkr-watchdog.service runs)."""
    app_context_of(context).exec_module("ibkr_tools.watchdog")


@app.command()
def status(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print the status file's content as JSON.")] = False,
) -> None:
    """Say how gateway, session, login and fetch are; the exit code tells health (0: the session is up)."""
    from ibkr_tools.cli import status_report
    from ibkr_tools.status import utc_now

    document = app_context_of(context).status_file.read()
    now = utc_now()
    write_out((status_report.as_json(document, now) if json else status_report.as_text(document, now)) + "\n")
    raise typer.Exit(status_report.exit_code(document, now))


@app.command()
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


@app.command()
def simulate(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="Where to listen on 127.0.0.1; 0: any.", min=0, max=65535)] = SIMULATOR_PORT,
    control_port: Annotated[
        int, typer.Option(help="Where to take orders; 0: any.", min=0, max=65535)
    ] = SIMULATOR_CONTROL_PORT,
    as_gateway: Annotated[
        bool, typer.Option("--as-gateway", help="Speak TLS and play the gateway too; no Java is needed.")
    ] = False,
    account: Annotated[str, typer.Option(help="The first account's number.")] = "U1234567",
    accounts: Annotated[int, typer.Option(help="How many accounts.", min=1, max=100)] = 1,
    positions: Annotated[int, typer.Option(help="Positions in each account.", min=0, max=100_000)] = 237,
    seed: Annotated[int, typer.Option(help="Another seed gives another portfolio.")] = 1,
    speed: Annotated[float, typer.Option(help="How many simulated seconds a second has.", min=0.01)] = 1.0,
) -> None:
    """Stand in for IBKR's servers: a login page, a portfolio, and trouble on demand (docs/simulator.md)."""
    from ibkr_tools.account_ids import require_number
    from ibkr_tools.config.values import port_problem
    from ibkr_tools.errors import UsageError

    require_number(account, "--account")
    if as_gateway and (problem := port_problem(port)):
        raise UsageError(f"--port: {problem}")
    try:
        from ibkr_tools.simulator import SimulatorOptions, account_numbers, serve
    except ModuleNotFoundError as error:
        from ibkr_tools.errors import ConfigError

        raise ConfigError(f"the simulator needs {error.name}", hint="pip install 'ibkr-tools[simulator]'") from error
    from contextlib import ExitStack

    from ibkr_tools.errors import PortTaken
    from ibkr_tools.gateway.tls import make_material
    from ibkr_tools.simulator.pem_files import pem_pair

    with ExitStack() as material:
        certificate = key = None
        if as_gateway:
            directories = app_context_of(context).directories
            make_material(directories.certificate.parent, directories.private)
            certificate, key = material.enter_context(pem_pair(directories.certificate.parent, directories.private))
        options = SimulatorOptions(
            port=port,
            control_port=control_port,
            certificate=certificate,
            key=key,
            accounts=account_numbers(account, accounts),
            positions=positions,
            seed=seed,
            speed=speed,
        )
        try:
            serve(options)
        except OSError as error:
            raise PortTaken(f"127.0.0.1:{port} or :{control_port}: {error.strerror}") from error
