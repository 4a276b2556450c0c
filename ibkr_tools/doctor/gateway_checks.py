"""The gateway: Java, IBKR's program, key store and certificate, the port, and the packet filter before it."""

import os
import shlex
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ibkr_tools import files
from ibkr_tools.config.schema import Config, GatewayConfig
from ibkr_tools.doctor.finding import Finding, Findings, Foreign, Private
from ibkr_tools.doctor.subject import Subject, ask, other_program, program_environment
from ibkr_tools.errors import ConfigError, DistributionError, JavaUnavailable
from ibkr_tools.gateway import class_archive, distribution, filter_probe, firewall, java, ports, tls
from ibkr_tools.gateway.preparation import distribution_directory
from ibkr_tools.instance import current_instance
from ibkr_tools.privileges import service_user
from ibkr_tools.status import GatewaySection, StatusFile

_JAVA, _GATEWAY, _ARCHIVE = Findings("Java"), Findings("gateway"), Findings("class archive")
_TLS, _PORT, _FILTER = Findings("TLS"), Findings("port"), Findings("packet filter")

_INSTALL_JAVA = "sudo apt-get install -y default-jre-headless"
_RESTART = "sudo systemctl try-restart ibkr-gateway"


def check_java(subject: Subject, config: Config) -> Iterator[Finding]:
    """Starts Java to ask for its version."""
    try:
        program = java.require_java(config.gateway.java)
    except JavaUnavailable as error:
        configured = config.gateway.java != GatewayConfig().java
        yield _JAVA.fault(
            Private(error.message), other_program(subject, "java", _INSTALL_JAVA, is_configured=configured)
        )
        return
    told = ask(
        [program.program, "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-version"], program_environment(subject)
    )
    if told.status != 0:
        yield _JAVA.fault(
            (f"Java {program.version} does not start: ", Private(told.complaint or told.status)),
            "sudo apt-get install --reinstall -y default-jre-headless",
        )
        return
    yield _JAVA.ok(f"Java {program.version}")


def check_distribution(subject: Subject, config: Config) -> Iterator[Finding]:
    """Hashes IBKR's program, and looks whether it may run."""
    directory = distribution_directory(config.gateway, subject.directories)
    command = "ibkr-tools gateway install --download"
    if subject.is_installed:
        command = f"sudo {command} && {_RESTART}"
    try:
        found = distribution.find(directory, subject.directories.accepted_builds)
    except DistributionError as error:
        if isinstance(error.__cause__, PermissionError):
            yield _GATEWAY.unseen("this user may not look at IBKR's program")
            return
        kinds = ("no gateway of IBKR there", "not IBKR's gateway, it lacks", "not IBKR's build", "an unknown build of")
        kind = next((kind for kind in kinds if kind in error.message), "IBKR's program cannot be used")
        details = error.message.partition(kind)[2] if kind in error.message else f": {error.message}"
        yield _GATEWAY.fault((kind, Private(details or f": {directory}")), command)
        return
    age = (
        f", {(subject.now.date() - datetime.fromisoformat(found.build).date()).days} days old"
        if _is_day(found.build)
        else ""
    )
    yield _GATEWAY.ok(f"build {found.build}{age}, {found.trust}, SHA-256 {found.sha256[:16]}")
    try:
        program = java.require_java(config.gateway.java)
    except JavaUnavailable:
        return
    archive = subject.directories.class_archive
    if program.major < class_archive.MIN_JAVA_MAJOR or not os.access(archive, os.R_OK | os.X_OK):
        yield _ARCHIVE.unseen("not for this Java, or not for this user to see")
    elif class_archive.find(archive.absolute(), program, found) is None:
        prepare = "sudo ibkr-tools gateway prepare" if subject.is_installed else "ibkr-tools gateway prepare"
        yield _ARCHIVE.notice("none that fits this Java and this build, so a start takes a second longer", prepare)
    else:
        yield _ARCHIVE.ok("fits this Java and this build")


def _is_day(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class TlsFacts:
    """Certificate, key store and their password; None of what nobody may see, or what is not there.

    `is_pair`: the key store opens with its password and has the certificate in it; `has_pin`: Chromium's pin is that of
    the certificate. `served`: the certificate that the gateway's port shows, None if nothing answers there.
    """

    expires: datetime | None
    is_there: bool
    is_pair: bool | None = None
    has_pin: bool = True
    is_served: bool | None = None


def read_tls(certificate: Path, private: Path, port: int | None) -> TlsFacts:
    """Looks at the gateway's own certificate; connects to its port, if there is one, for the TLS handshake alone."""
    expires = tls.expires_at(certificate)
    if expires is None:
        return TlsFacts(expires=None, is_there=os.path.lexists(certificate))
    try:
        is_pair: bool | None = tls.opens_key_store(certificate.parent, private)
    except PermissionError:
        is_pair = None
    return TlsFacts(
        expires=expires,
        is_there=True,
        is_pair=is_pair,
        has_pin=tls.has_its_pin(certificate.parent),
        is_served=None if port is None else _is_served(certificate, port),
    )


def _is_served(certificate: Path, port: int) -> bool | None:
    """Says whether the gateway shows this certificate; None if it shows none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=2) as connection,
            context.wrap_socket(connection, server_hostname="localhost") as secured,
        ):
            served = secured.getpeercert(binary_form=True)
        return served == ssl.PEM_cert_to_DER_cert(files.read_user_file(certificate).decode())
    except (OSError, ValueError):
        return None


def judge_tls(facts: TlsFacts, now: datetime, *, certificate: Path, is_installed: bool) -> Iterator[Finding]:
    """Yields what is wrong with the gateway's certificate."""
    tool = "sudo ibkr-tools" if is_installed else "ibkr-tools"
    restart = f" && {_RESTART}" if is_installed else ""
    # What is there counts as current while all files are: without the certificate it is made anew.
    remove = f"sudo runuser -u {service_user()} -- rm -f " if is_installed else "rm -f "
    path = str(certificate) if is_installed else Private(shlex.quote(str(certificate)))
    anew = (remove, path, f" && {tool} gateway prepare{restart}")
    if facts.expires is None:
        if facts.is_there:
            yield _TLS.fault("the gateway's certificate cannot be read", anew)
        elif is_installed:
            yield _TLS.fault("the gateway has no certificate", f"{tool} gateway prepare{restart}")
        else:
            yield _TLS.ok("the gateway makes its certificate at its first start")
    elif facts.expires <= now:
        yield _TLS.fault(f"the gateway's certificate has expired on {facts.expires:%Y-%m-%d}", anew)
    elif facts.expires - tls.RENEW_BEFORE <= now:
        yield _TLS.fault(f"the gateway's certificate expires on {facts.expires:%Y-%m-%d}", anew)
    elif facts.is_pair is False:
        yield _TLS.fault("the gateway's key store does not belong to its certificate, or does not open", anew)
    elif not facts.has_pin:
        yield _TLS.fault("the pin for Chromium is not that of the gateway's certificate", anew)
    elif facts.is_served is False:
        yield _TLS.fault("the gateway runs with another certificate than the one that clients trust", _RESTART)
    else:
        yield _TLS.ok(f"valid until {facts.expires:%Y-%m-%d}")


def check_tls(subject: Subject) -> Iterator[Finding]:
    """Looks at the gateway's key store and certificate."""
    certificate = subject.directories.certificate
    if certificate.parent.exists() and not os.access(certificate.parent, os.X_OK):
        yield _TLS.unseen("this user may not look at the gateway's certificate")
        return
    section = StatusFile(subject.directories.status_file).read_section(GatewaySection)
    is_up = section is not None and section.state == "up" and not section.is_stale(subject.now)
    port = section.port if section is not None and is_up else None
    facts = read_tls(certificate, subject.directories.private, port)
    yield from judge_tls(facts, subject.now, certificate=certificate, is_installed=subject.is_installed)


@dataclass(frozen=True, kw_only=True)
class PortFacts:
    """The gateway's port: who listens there (None: nobody), and what the gateway says that it has.

    `owner` describes the listener, `unit` is its unit and `pid` its process where this user may know them.
    """

    port: int
    uids: tuple[int, ...] = ()
    owner: str = ""
    pid: int | None = None
    unit: str | None = None
    told_port: int | None = None


def read_port(port: int, section: GatewaySection | None, now: datetime) -> PortFacts:
    """Looks who has the port."""
    told = section.port if section is not None and not section.is_stale(now) and section.state == "up" else None
    holder = ports.listener(port)
    if holder is None:
        return PortFacts(port=port, told_port=told)
    return PortFacts(
        port=port,
        uids=holder.uids,
        owner=ports.describe_owner(port),
        pid=holder.pid,
        unit=None if holder.pid is None else ports.unit_of(holder.pid),
        told_port=told,
    )


def judge_port(facts: PortFacts, own_uid: int | None) -> Iterator[Finding]:
    """Yields whether the port is the gateway's, or free for it; `own_uid`: the user id of the gateway."""
    port = facts.port
    if facts.uids and own_uid is not None and any(uid != own_uid for uid in facts.uids):
        remedy: str | None = "sudo ss -ltnp"
        if facts.unit is not None:
            remedy = f"sudo systemctl stop {shlex.quote(facts.unit)}"
        elif facts.pid is not None:
            remedy = f"sudo kill {facts.pid}"
        yield _PORT.fault((f"port {port} of the gateway is taken by ", Foreign(facts.owner)), Foreign(remedy))
    elif facts.told_port is not None and facts.told_port != port:
        yield _PORT.fault(f"the gateway runs on port {facts.told_port}, and is configured for {port}", _RESTART)
    elif facts.uids:
        yield _PORT.ok(f"port {port} is the gateway's")
    else:
        yield _PORT.ok(f"port {port} is free")


def _is_port_unknown(subject: Subject) -> bool:
    """Says whether nobody knows the port: of an instance with a name the usual one is another's."""
    return subject.instance is not None and subject.config is None


def check_port(subject: Subject, config: Config) -> Iterator[Finding]:
    """Looks at the gateway's port."""
    if _is_port_unknown(subject):
        yield _PORT.unseen("only the configuration says which one it is")
        return
    section = StatusFile(subject.directories.status_file).read_section(GatewaySection)
    own = subject.service_uid if subject.is_installed else os.geteuid()
    yield from judge_port(read_port(config.gateway.port, section, subject.now), own)


_RELOAD = "sudo systemctl reload-or-restart ibkr-firewall"
"""A restart would take the gateway along, and its session."""


def check_filter(subject: Subject, config: Config, *, is_other: bool) -> Iterator[Finding]:
    """Looks whether the packet filter guards the port; `is_other`: a drop-in says that another one does its work."""
    if not subject.is_installed:
        yield _FILTER.ok("without services there is none")
        return
    if is_other:
        yield _FILTER.ok("another packet filter does its work (IBKR_TOOLS_PACKET_FILTER=other)")
        return
    if _is_port_unknown(subject):
        yield _FILTER.unseen("only the configuration says which port it guards")
        return
    if not Path("/usr/sbin/nft").exists():
        yield _FILTER.fault("nft is not installed", f"sudo apt-get install -y nftables && {_RELOAD}")
        return
    port = config.gateway.port
    if ports.listener(port) is None:
        yield _FILTER.ok("nothing listens on the port, and the filter comes with the gateway")
        return
    if filter_probe.is_filtered(port) is False:
        yield _FILTER.fault(filter_probe.exposure_warning(port).partition(". ")[0], _RELOAD)
        return
    if not subject.is_root:
        yield _FILTER.ok(f"guards port {port}; only root can look at its rules")
        return
    yield from _judge_rules(subject, config)


def _judge_rules(subject: Subject, config: Config) -> Iterator[Finding]:
    """Compares the table in the kernel with the one that would be loaded now, which an empty network is given."""
    environment = {**program_environment(subject), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    try:
        users = firewall.permitted_users(service_user())
    except ConfigError:
        return
    instance = current_instance()
    table = firewall.table_name(instance)
    rules = firewall.ruleset(firewall.guarded_ports(config.gateway, instance), users, table)
    show = ["nft", "-n", "list", "table", "inet", table]
    wanted = ask(["unshare", "--net", "sh", "-c", f"nft -f - && {' '.join(show)}"], environment, stdin=rules.encode())
    actual = ask(show, environment)
    if wanted.status != 0:
        yield _FILTER.unseen(("its rules cannot be compared here: ", Private(wanted.complaint)))
    elif actual.status != 0:
        yield _FILTER.fault("the packet filter is not loaded", _RELOAD)
    elif actual.output != wanted.output:
        is_users = _without_users(actual.output) == _without_users(wanted.output)
        what = "does not know the present members of the group" if is_users else "has other rules than it should"
        yield _FILTER.fault(f"the packet filter {what}", _RELOAD)
    else:
        yield _FILTER.ok(f"guards port {config.gateway.port}, and knows {len(users)} users")


def _without_users(table: str) -> str:
    head, _, rest = table.partition("set users {")
    return head + rest.partition("}\n\n")[2]
