"""`ibkr-tools simulate`: stands in for IBKR's servers."""

from typing import Annotated

import typer

from ibkr_tools.cli.app_context import app_context_of
from ibkr_tools.simulator_ports import SIMULATOR_CONTROL_PORT, SIMULATOR_PORT


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
    years: Annotated[
        int,
        typer.Option(help="So many years of each account lie behind it; about --positions are held.", min=0, max=30),
    ] = 0,
    seed: Annotated[int, typer.Option(help="Another seed gives another portfolio.")] = 1,
    speed: Annotated[float, typer.Option(help="How many simulated seconds a second has.", min=0.01)] = 1.0,
) -> None:
    """Stand in for IBKR's servers: a login page, a portfolio, and trouble on demand (docs/simulator.md)."""
    from ibkr_tools.account_ids import require_number
    from ibkr_tools.config.values import port_problem
    from ibkr_tools.errors import UsageError

    require_number(account, "--account")
    if as_gateway and (said := port_problem(port)):
        raise UsageError(f"--port: {said}")
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
            years=years,
            seed=seed,
            speed=speed,
        )
        try:
            serve(options)
        except OSError as error:
            raise PortTaken(f"127.0.0.1:{port} or :{control_port}: {error.strerror}") from error
