"""`ibkr-tools gateway …`: IBKR's Java program."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ibkr_tools.cli import completers
from ibkr_tools.cli.app_context import AppContext, app_context_of
from ibkr_tools.cli.help_command import HelpCommand, HelpGroup
from ibkr_tools.cli.streams import write_report

if TYPE_CHECKING:
    from ibkr_tools.config.schema import GatewayConfig
    from ibkr_tools.gateway.distribution import Distribution

app = typer.Typer(cls=HelpGroup, no_args_is_help=True, help="Install and run IBKR's Client Portal gateway.")


def _config(app_context: AppContext) -> "GatewayConfig":
    from ibkr_tools.config.loader import load_config
    from ibkr_tools.config.schema import GatewayConfig
    from ibkr_tools.errors import AccessDenied, ConfigError

    try:
        app_context.config_file.lstat()
        # Installing comes before anybody has edited the example.
        return load_config(app_context.config_file, allow_example=True).gateway
    except FileNotFoundError:
        return GatewayConfig()
    except PermissionError as error:
        raise AccessDenied.to(app_context.config_file) from error
    except OSError as error:
        raise ConfigError(f"{app_context.config_file}: {error.strerror}") from error


@app.command(cls=HelpCommand)
def run(context: typer.Context) -> None:
    """Start the gateway and stay with it (what ibkr-gateway.service runs)."""
    app_context = app_context_of(context)
    app_context.require_rights(app_context.directories.gateway)
    app_context.exec_module("ibkr_tools.gateway")


@app.command(cls=HelpCommand)
def install(
    context: typer.Context,
    source: Annotated[
        Path | None,
        typer.Argument(
            help="IBKR's zip, or a folder with its content.",
            metavar="[ZIP]",
            readable=False,
            autocompletion=completers.files,
        ),
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
    from ibkr_tools import files
    from ibkr_tools.errors import OutputError, UsageError
    from ibkr_tools.gateway import distribution_install
    from ibkr_tools.gateway.preparation import distribution_directory

    if (source is None) is not download:
        raise UsageError("name a zip or a folder, or say --download", hint="ibkr-tools gateway install --help")
    app_context = app_context_of(context)
    directories = app_context.directories
    app_context.require_rights(directories.gateway)
    config = _config(app_context)
    into, accepted = distribution_directory(config, directories), directories.accepted_builds
    try:
        files.make_directory(into.parent, mode=0o750)
    except OSError as error:
        raise OutputError(f"{into.parent}: {error.strerror}") from error
    with _local_copy(source) as local:
        installed = distribution_install.install(local, into, accepted, accept=accept)
    _describe(installed)
    _make_class_archive(config, app_context, installed)


@contextmanager
def _local_copy(source: Path | None) -> Iterator[Path]:
    """Gives a zip or a folder; without one, what IBKR offers, for as long as it is used."""
    import tempfile

    from ibkr_tools.gateway import distribution_download

    if source is not None:
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="ibkr-tools-") as scratch:
        target = Path(scratch) / "clientportal.gw.zip"
        distribution_download.download(distribution_download.PUBLIC_ZIP, target)
        yield target


@app.command(cls=HelpCommand)
def update(
    context: typer.Context,
    source: Annotated[
        Path | None,
        typer.Argument(
            help="A zip or a folder in place of what IBKR offers.",
            metavar="[ZIP]",
            readable=False,
            autocompletion=completers.files,
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Install nothing; the exit code is 1 if there is another build.")
    ] = False,
    accept: Annotated[
        str | None, typer.Option(metavar="SHA256", help="Trust this unknown build; it must be the one that is found.")
    ] = None,
) -> None:
    """Compare the distribution that is installed with the one that IBKR offers, and install that if it is another one.

    What was installed is kept: `ibkr-tools gateway rollback` goes back.
    """
    from ibkr_tools.errors import DistributionError
    from ibkr_tools.gateway import distribution_install
    from ibkr_tools.gateway.preparation import distribution_directory

    app_context = app_context_of(context)
    directories = app_context.directories
    if not check:
        app_context.require_rights(directories.gateway)
    config = _config(app_context)
    into, accepted = distribution_directory(config, directories), directories.accepted_builds
    present: Distribution | None = None
    try:
        present = _find_distribution(config, app_context)
        write_report(f"installed  {present.build}, {present.trust}, sha256 {present.sha256}\n")
    except DistributionError as error:
        write_report(f"installed  {error.message}\n")
    with _local_copy(source) as local:
        offered = distribution_install.inspect(local, accepted)
        trust = offered.trust or "unknown to this version of ibkr-tools"
        write_report(f"offered    {offered.build}, {trust}, sha256 {offered.sha256}\n")
        if present is not None and offered.sha256 == present.sha256:
            write_report("It is the one that is installed.\n")
            return
        if check:
            raise typer.Exit(1)
        installed = distribution_install.install(local, into, accepted, accept=accept)
    _describe(installed)
    _make_class_archive(config, app_context, installed)
    write_report(_RESTART_HINT)
    if present is not None:
        write_report("back to the one before: ibkr-tools gateway rollback\n")


_RESTART_HINT = "A gateway that runs goes on with the old one until: sudo systemctl restart ibkr-gateway\n"


@app.command(cls=HelpCommand)
def rollback(context: typer.Context) -> None:
    """Go back to the distribution that the last update replaced; doing it twice changes nothing."""
    from ibkr_tools.gateway import distribution_install
    from ibkr_tools.gateway.preparation import distribution_directory

    app_context = app_context_of(context)
    directories = app_context.directories
    app_context.require_rights(directories.gateway)
    config = _config(app_context)
    installed = distribution_install.rollback(distribution_directory(config, directories), directories.accepted_builds)
    _describe(installed)
    _make_class_archive(config, app_context, installed)
    write_report(_RESTART_HINT)


@app.command(cls=HelpCommand)
def info(context: typer.Context) -> None:
    """Say which distribution is installed: folder, build, SHA-256 of all that Java runs, and why it may run."""
    from ibkr_tools.errors import DistributionError
    from ibkr_tools.gateway import distribution
    from ibkr_tools.gateway.preparation import distribution_directory

    app_context = app_context_of(context)
    config, directories = _config(app_context), app_context.directories
    _describe(_find_distribution(config, app_context))
    try:
        before = distribution.find_previous(distribution_directory(config, directories), directories.accepted_builds)
    except DistributionError as error:
        write_report(f"before   {error.message}\n")
    else:
        if before is not None:
            write_report(
                f"before   {before.build}, {before.trust}, sha256 {before.sha256}: ibkr-tools gateway rollback\n"
            )


@app.command(cls=HelpCommand)
def prepare(context: typer.Context) -> None:
    """Make the gateway's own key and certificate, and Java's class archive, unless they are there and good."""
    from ibkr_tools.errors import ConfigError
    from ibkr_tools.gateway import class_archive, java
    from ibkr_tools.gateway.tls import make_material

    app_context = app_context_of(context)
    directories = app_context.directories
    app_context.require_rights(directories.gateway)
    make_material(directories.certificate.parent, directories.private)
    write_report(f"certificate  {directories.certificate}\n")
    try:
        config = _config(app_context)
        installed = _find_distribution(config, app_context)
        archive = class_archive.find(directories.class_archive, java.require_java(config.java), installed)
    except ConfigError as error:
        # Installing comes before anybody has edited the configuration, or has IBKR's program.
        _say_no_archive(error.message)
        return
    if archive is None:
        _make_class_archive(config, app_context, installed)
    else:
        write_report(f"archive  {archive}\n")


def _find_distribution(config: "GatewayConfig", app_context: AppContext) -> "Distribution":
    from ibkr_tools.gateway import distribution
    from ibkr_tools.gateway.preparation import distribution_directory

    directories = app_context.directories
    return distribution.find(distribution_directory(config, directories), directories.accepted_builds)


def _make_class_archive(config: "GatewayConfig", app_context: AppContext, installed: "Distribution") -> None:
    """Makes the class archive, or says why not: a gateway runs without it, and only its start takes longer."""
    from ibkr_tools.errors import JavaUnavailable
    from ibkr_tools.gateway import class_archive, java

    directory = app_context.directories.class_archive.absolute()
    try:
        reason = class_archive.make(directory, java.require_java(config.java), installed)
    except JavaUnavailable as error:
        reason = error.message
    if reason is None:
        write_report(f"archive  {directory / class_archive.ARCHIVE_FILE}\n")
    else:
        _say_no_archive(reason)


def _say_no_archive(reason: str) -> None:
    write_report(f"archive  none, so a start takes longer: {reason}\n")


def _describe(installed: "Distribution") -> None:
    write_report(
        f"gateway  {installed.root}\nbuild    {installed.build}, {installed.trust}\nsha256   {installed.sha256}\n"
    )
