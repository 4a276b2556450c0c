"""`ibkr-tools gateway …`: IBKR's Java program."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ibkr_tools.cli.app_context import AppContext, app_context_of
from ibkr_tools.cli.streams import write_out

if TYPE_CHECKING:
    from ibkr_tools.gateway.distribution import Distribution

app = typer.Typer(no_args_is_help=True, help="Install and run IBKR's Client Portal gateway.")


def _distribution_directory(app_context: AppContext) -> Path:
    from ibkr_tools.config.loader import load_config
    from ibkr_tools.config.schema import GatewayConfig
    from ibkr_tools.errors import ConfigError
    from ibkr_tools.gateway.preparation import distribution_directory

    try:
        app_context.config_file.lstat()
        # Installing comes before anybody has edited the example.
        config = load_config(app_context.config_file, allow_example=True).gateway
    except FileNotFoundError:
        config = GatewayConfig()
    except OSError as error:
        raise ConfigError(f"{app_context.config_file}: {error.strerror}") from error
    return distribution_directory(config, app_context.directories)


@app.command()
def run(context: typer.Context) -> None:
    """Start the gateway and stay with it (what ibkr-gateway.service runs)."""
    app_context_of(context).exec_module("ibkr_tools.gateway")


@app.command()
def install(
    context: typer.Context,
    source: Annotated[
        Path | None, typer.Argument(help="IBKR's zip, or a folder with its content.", readable=False)
    ] = None,
    download: Annotated[bool, typer.Option("--download", help="Get the zip from IBKR.")] = False,
    accept: Annotated[
        str | None,
        typer.Option(metavar="SHA256", help="Trust this unknown build from now on; it must be the one that is found."),
    ] = None,
) -> None:
    """Install IBKR's distribution from a zip or a folder, replacing the old one in one step.

    A build that is not known is named with its SHA-256 and refused, until --accept says that it is trusted.
    """
    import tempfile

    from ibkr_tools import files
    from ibkr_tools.errors import OutputError, UsageError
    from ibkr_tools.gateway import distribution

    if (source is None) is not download:
        raise UsageError("name a zip or a folder, or say --download", hint="ibkr-tools gateway install --help")
    app_context = app_context_of(context)
    into, accepted = _distribution_directory(app_context), app_context.directories.accepted_builds
    try:
        files.make_directory(into.parent, mode=0o750)
    except OSError as error:
        raise OutputError(f"{into.parent}: {error.strerror}") from error
    if source is not None:
        installed = distribution.install(source, into, accepted, accept=accept)
    else:
        with tempfile.TemporaryDirectory(prefix="ibkr-tools-") as scratch:
            target = Path(scratch) / "clientportal.gw.zip"
            distribution.download(distribution.PUBLIC_ZIP, target)
            installed = distribution.install(target, into, accepted, accept=accept)
    _describe(installed)


@app.command()
def info(context: typer.Context) -> None:
    """Say which distribution is installed: folder, build, SHA-256 of all that Java runs, and why it may run."""
    from ibkr_tools.gateway import distribution

    app_context = app_context_of(context)
    installed = distribution.find(_distribution_directory(app_context), app_context.directories.accepted_builds)
    _describe(installed)


@app.command()
def prepare(context: typer.Context) -> None:
    """Make the gateway's own key and certificate, unless they are there and good for a month."""
    from ibkr_tools.gateway.tls import make_material

    directories = app_context_of(context).directories
    make_material(directories.certificate.parent, directories.private)
    write_out(f"certificate  {directories.certificate}\n")


def _describe(installed: "Distribution") -> None:
    write_out(
        f"gateway  {installed.root}\nbuild    {installed.build}, {installed.trust}\nsha256   {installed.sha256}\n"
    )
