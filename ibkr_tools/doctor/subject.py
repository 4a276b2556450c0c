"""What the checks are about: one instance of the toolkit, and how much of this machine belongs to it."""

import os
import pwd
import shlex
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from ibkr_tools import user_command
from ibkr_tools.config.check import UNIT_PATH
from ibkr_tools.config.loader import load_config
from ibkr_tools.config.schema import Config
from ibkr_tools.directories import SYSTEM_CONFIGURATION, Directories
from ibkr_tools.doctor.finding import Private
from ibkr_tools.errors import ConfigError
from ibkr_tools.installation import LAYOUT, PACKAGE, Layout
from ibkr_tools.instance import current_instance, directory_of
from ibkr_tools.privileges import service_user

PROGRAM_TIMEOUT_S = 10.0
"""For every program that is started to ask it something, in seconds."""


class Extent(StrEnum):
    """How much is installed as services: all of it, what fetches statements alone, or nothing."""

    FULL = "services"
    STATEMENTS = "statements only"
    NONE = "no services"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An instance and its machine.

    `instance` is its name, None: the one without a name. `config` is None if it cannot be used, for the reason
    `config_error`; `is_booted`: systemd runs this machine.
    """

    instance: str | None = None
    directories: Directories
    config_file: Path
    config: Config | None
    config_error: ConfigError | None
    extent: Extent
    shipped: frozenset[Path]
    is_root: bool
    is_booted: bool
    is_online: bool
    now: datetime

    @property
    def is_installed(self) -> bool:
        """Whether services are installed."""
        return self.extent is not Extent.NONE

    @property
    def has_gateway(self) -> bool:
        """Whether the gateway and the login belong to it."""
        return self.extent is not Extent.STATEMENTS

    @property
    def service_uid(self) -> int | None:
        """The user id of the units' user; None without that user."""
        try:
            return pwd.getpwnam(service_user()).pw_uid
        except KeyError:
            return None


def find_subject(directories: Directories, config_file: Path, *, is_online: bool, now: datetime) -> Subject:
    """Looks at what there is; reads the configuration."""
    config, error = None, None
    try:
        config = load_config(config_file)
    except ConfigError as problem:
        error = problem
    instance = current_instance()
    is_installed = config_file.absolute().parent == directory_of(SYSTEM_CONFIGURATION, instance)
    shipped = _manifest(LAYOUT.manifest, instance) if is_installed else frozenset()
    return Subject(
        instance=instance,
        directories=directories,
        config_file=config_file,
        config=config,
        config_error=error,
        extent=find_extent(shipped, LAYOUT, config_file),
        shipped=shipped,
        is_root=os.geteuid() == 0,
        is_booted=Path("/run/systemd/system").is_dir(),
        is_online=is_online,
        now=now,
    )


def _manifest(list_file: Path, instance: str | None) -> frozenset[Path]:
    """Returns the files of an instance that were put outside the program's own directory.

    Those of the one without a name are all but what is of instances with one.
    """
    try:
        lines = list_file.read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(path for path in listed_files(lines) if _is_of(path, instance))


def listed_files(lines: Iterable[str]) -> frozenset[Path]:
    """Returns the files of a list of paths; dpkg's has the directories that they are in too."""
    paths = frozenset(Path(line) for line in lines if line.startswith("/") and not line.endswith("/"))
    return paths - {folder for path in paths for folder in path.parents}


def _is_of(path: Path, instance: str | None) -> bool:
    """Says whether a file of the list is of this instance: of one with a name, the templates and its own files."""
    if instance is None:
        return not is_of_instances(path)
    if path.parent.name in {"sysusers.d", "tmpfiles.d"}:
        return path.name == f"ibkr-tools@{instance}.conf"
    # The drop-in of all services is that of the templates too.
    return is_of_instances(path) or path.parent.name == "ibkr-.service.d"


def is_of_instances(path: Path) -> bool:
    """Says whether a file of the list is of the instances with a name: a template, its drop-in, a user's file.

    They are made of the shipped ones by bin/_instance.sh; the handler of failures is a template by itself.
    """
    return any("@" in name and not name.startswith("ibkr-alert@.service") for name in (path.name, path.parent.name))


def find_extent(shipped: frozenset[Path], layout: Layout, config_file: Path) -> Extent:
    """Returns how much is installed: of a package, which brings all units, how much is set up.

    Args:
        shipped: the files that were put outside the program's own directory.
        layout: where they are.
        config_file: the configuration; `ibkr-tools-install` makes the file `password` beside it where there are logins
    """
    is_full = any(layout.units / name in shipped for name in ("ibkr-gateway.service", "ibkr-gateway@.service"))
    # Unlike Path.exists() os.access() does not fail where this user may not look, and what is not seen says nothing.
    has_config, has_password = (
        os.access(config_file.with_name(name), os.F_OK) for name in (config_file.name, "password")
    )
    if is_full and layout is PACKAGE and has_config and not has_password:
        return Extent.STATEMENTS
    if is_full:
        return Extent.FULL
    return Extent.STATEMENTS if layout.units / "ibkr-flex.service" in shipped else Extent.NONE


def program_environment(subject: Subject) -> dict[str, str]:
    """Returns the environment in which programs are looked for and started: that of a unit, where there are units."""
    kept = {name: os.environ[name] for name in ("HOME",) if name in os.environ}
    path = UNIT_PATH if subject.is_installed else os.environ.get("PATH", os.defpath)
    return {"PATH": path, "LC_ALL": "C.UTF-8", **kept}


def other_program(subject: Subject, name: str, install: str, *, is_configured: bool) -> str | Private:
    """Returns the command that brings another program in the place of one that is of no use.

    Args:
        subject: the instance.
        name: the program's name.
        install: the command that installs the distribution's own.
        is_configured: whether the configuration names it, so that another one has to be named there.
    """
    if is_configured:
        return edit_command(subject)
    found = shutil.which(name, path=program_environment(subject)["PATH"])
    # Of two programs with one name the other may be good, and is not reached.
    if found is not None and not found.startswith("/usr/bin/") and Path("/usr/bin", name).exists():
        return Private(f"sudo mv {shlex.quote(found)} {shlex.quote(f'{found}.off')}")
    return install


def edit_command(subject: Subject) -> Private:
    """Returns the command that opens the configuration in an editor."""
    file = shlex.quote(str(subject.config_file))
    return Private(f"sudoedit {file}" if subject.is_installed else f'"${{EDITOR:-vi}}" {file}')


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a program has said: its exit status (None: it took too long, or was not there), and its output."""

    status: int | None
    output: str
    complaint: str


def ask(command: list[str], environment: Mapping[str, str], *, stdin: bytes = b"") -> Told:
    """Runs a program for a few seconds at most and returns what it said; never raises for want of it."""
    try:
        result = user_command.run_user_command(
            command,
            environment,
            PROGRAM_TIMEOUT_S,
            spawn=lambda words, environ: user_command.spawn_locally(words, environ, stdin=stdin),
        )
    except (OSError, ValueError) as error:
        return Told(status=None, output="", complaint=str(getattr(error, "strerror", None) or error))
    output = result.output.decode(errors="replace")
    complaint = result.complaint or ("" if result.exit_status is not None else "no answer in time")
    return Told(status=result.exit_status, output=output, complaint=complaint)
