"""Everything before Java starts: the checks, the certificate, the rendered configuration; the result is a plan."""

import socket
import sys
from pathlib import Path

from ibkr_tools import files, log
from ibkr_tools.config.schema import GatewayConfig
from ibkr_tools.directories import Directories
from ibkr_tools.errors import ConfigError, GatewayUnavailable, OutputError
from ibkr_tools.gateway import (
    address_family,
    class_archive,
    conf_templates,
    distribution,
    filter_probe,
    java,
    ports,
    tls,
)
from ibkr_tools.gateway.filter_probe import FilterPolicy
from ibkr_tools.gateway.launch_plan import LaunchPlan
from ibkr_tools.installation import INSTALL_SERVICES

FILTER_TIMEOUT_S = 15.0
"""How long a packet filter may take to be loaded anew: systemd has it done while it starts the gateway again."""

ARCHIVE_HINT = f"ibkr-tools gateway prepare, or {INSTALL_SERVICES}"
"""What makes a class archive."""


def distribution_directory(config: GatewayConfig, directories: Directories) -> Path:
    """Returns where IBKR's distribution is, or should be."""
    configured = config.directory
    return (Path(configured).expanduser() if configured else directories.gateway / "clientportal.gw").absolute()


def _require_filter(port: int, *, required: bool) -> None:
    """Returns if the packet filter guards `port`, on which we listen now; warns without, where it is not required."""
    is_guarded = filter_probe.await_filter(port, FILTER_TIMEOUT_S if required else 0.0)
    if is_guarded:
        return
    if is_guarded is None and required:
        raise GatewayUnavailable(f"port {port}: it cannot be seen now whether a packet filter guards it")
    if required:
        raise ConfigError(
            f"no packet filter guards port {port}, and whoever reached the gateway there would be its IBKR user",
            hint="sudo systemctl restart ibkr-firewall ibkr-gateway (docs/systemd.md: another packet filter)",
        )
    log.write("WARNING", filter_probe.exposure_warning(port))


def prepare(
    config: GatewayConfig,
    directories: Directories,
    *,
    filter_policy: FilterPolicy,
) -> LaunchPlan:
    """Checks all that Java needs, writes its configuration, and says how to run it.

    Raises:
        DistributionError: IBKR's gateway is not there, not whole, or a build that nobody has accepted.
        JavaUnavailable: no Java, or one that is too old.
        PortTaken: another program listens on the port.
        GatewayUnavailable: nobody can say now whether a packet filter guards it, and one is required.
        ConfigError: this user may not listen on the port, no packet filter guards it and one is required, or the
            templates are missing.
        OutputError: the state or runtime directory cannot be written.
    """
    installed = distribution.find(distribution_directory(config, directories), directories.accepted_builds)
    program = java.require_java(config.java)
    has_ipv4, has_ipv6 = (address_family.has_route(family) for family in (socket.AF_INET, socket.AF_INET6))
    with ports.listening_on(config.port, both_families=not has_ipv4):
        if filter_policy is not FilterPolicy.OTHER:
            _require_filter(config.port, required=filter_policy is FilterPolicy.REQUIRED)
    private = directories.private
    settings, home = directories.gateway / "conf", directories.gateway / "work"
    templates = conf_templates.read_templates()
    try:
        tls.make_material(directories.certificate.parent, private)
        rendered = conf_templates.render(
            templates,
            port=config.port,
            upstream=config.upstream,
            keystore=(private / tls.KEYSTORE_FILE).absolute(),
            keystore_password=(private / tls.KEYSTORE_PASSWORD_FILE).read_text(),
            journal=log.is_journal(sys.stdout),
        )
        for directory in (settings, home):
            files.make_directory(directory, mode=0o700)
        # The key store's password is in one of them; another version may have called it differently.
        for former in settings.iterdir():
            files.remove(former)
        conf, logback = settings / conf_templates.CONF_JAR, settings / conf_templates.LOGBACK_FILE
        files.write_atomically(conf, conf_templates.as_jar(rendered.conf), mode=0o600)
        files.write_atomically(logback, rendered.logback.encode(), mode=0o600)
    except OSError as error:
        raise OutputError(f"{error.filename or directories.gateway}: {error.strerror}") from error
    if has_ipv6 and not has_ipv4:
        log.write("INFO", "This machine has no route for IPv4: Java uses IPv6")
    log.write("INFO", f"Starting IBKR's build {installed.build} (SHA-256 {installed.sha256}) on Java {program.version}")
    archive = class_archive.find(directories.class_archive.absolute(), program, installed)
    if archive is None and program.major >= class_archive.MIN_JAVA_MAJOR:
        log.write("INFO", f"No class archive for this Java and this build, so the start takes longer: {ARCHIVE_HINT}")
    return LaunchPlan(
        command=tuple(
            java.command(
                program,
                java.class_path(installed),
                conf=conf.absolute(),
                conf_entry=conf_templates.CONF_ENTRY,
                logback=logback.absolute(),
                home=home.absolute(),
                heap_mb=config.heap_mb,
                archive=archive,
                properties=address_family.java_properties(has_ipv4=has_ipv4, has_ipv6=has_ipv6),
            )
        ),
        directories=directories,
        port=config.port,
        upstream=config.upstream,
        build=installed.build,
        filter_policy=filter_policy,
    )
