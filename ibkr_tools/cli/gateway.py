"""`ibkr-tools gateway …`: IBKR's Java program."""

from pathlib import Path
from typing import Annotated

import typer

from ibkr_tools.cli.common import Setting, setting_of, write_out

app = typer.Typer(no_args_is_help=True, help="Install and run IBKR's Client Portal gateway.")


def _folder(setting: Setting) -> Path:
    from ibkr_tools.config import GatewayConfig
    from ibkr_tools.errors import ConfigError
    from ibkr_tools.gateway.start import distribution_directory

    try:
        setting.config_file.lstat()
        config = setting.load().gateway
    except FileNotFoundError:
        config = GatewayConfig()
    except OSError as error:
        raise ConfigError(f"{setting.config_file}: {error.strerror}") from error
    return distribution_directory(config, setting.directories)


@app.command()
def run(context: typer.Context) -> None:
    """Start the gateway and stay with it (what ibkr-gateway.service runs)."""
    setting_of(context).become("ibkr_tools.gateway")


@app.command()
def install(
    context: typer.Context,
    source: Annotated[Path | None, typer.Argument(help="IBKR's zip, or a folder with its content.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Get the zip from IBKR.")] = False,
) -> None:
    """Install IBKR's distribution from a zip or a folder, replacing the old one in one step."""
    import tempfile

    from ibkr_tools import files
    from ibkr_tools.errors import OutputError, UsageError
    from ibkr_tools.gateway import distribution

    if (source is None) is not download:
        raise UsageError("name a zip or a folder, or say --download", hint="ibkr-tools gateway install --help")
    into = _folder(setting_of(context))
    try:
        files.make_directory(into.parent, mode=0o750)
    except OSError as error:
        raise OutputError(f"{into.parent}: {error.strerror}") from error
    if source is not None:
        found = distribution.install(source, into)
    else:
        with tempfile.TemporaryDirectory(prefix="ibkr-tools-") as scratch:
            target = Path(scratch) / "clientportal.gw.zip"
            distribution.download(distribution.PUBLIC_ZIP, target)
            found = distribution.install(target, into)
    _describe(found.root, found.build, found.sha256)


@app.command()
def info(context: typer.Context) -> None:
    """Say which distribution is installed: folder, build, SHA-256 of the program."""
    from ibkr_tools.gateway import distribution

    found = distribution.find(_folder(setting_of(context)))
    _describe(found.root, found.build, found.sha256)


@app.command()
def prepare(context: typer.Context) -> None:
    """Make the gateway's own key and certificate, unless they are there and good for a month."""
    from ibkr_tools.gateway.tls import make_material

    directory = setting_of(context).directories.certificate.parent
    make_material(directory)
    write_out(f"certificate  {directory / 'gateway.pem'}\n")


def _describe(root: Path, build: str, sha256: str) -> None:
    write_out(f"gateway  {root}\nbuild    {build}\nsha256   {sha256}\n")
