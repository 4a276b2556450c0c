"""The Java program: is it there and new enough, and the command line that keeps it small."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ibkr_tools import executables, user_command
from ibkr_tools.errors import JavaUnavailable
from ibkr_tools.gateway.distribution import Distribution
from ibkr_tools.gateway.launch_plan import ARCHIVE_OPTION, java_environment

MIN_JAVA_VERSION = (8, 192)
"""IBKR's documentation asks for Java 8, update 192, or newer."""

MAIN_CLASS_NAME = "ibgroup.web.core.clientportal.gw.GatewayStart"

_INSTALL_HINT = "sudo apt install default-jre-headless"

# A line per reason; together 104 MB resident instead of 145 MB after 100 requests, and a start that is no slower.
JVM_FLAGS = (
    "-server",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:ReservedCodeCacheSize=24m",
    "-Xss512k",
    # Out of memory, systemd decides, not a half-dead JVM; exit status 3.
    "-XX:+ExitOnOutOfMemoryError",
    # No files in /tmp/hsperfdata_*.
    "-XX:-UsePerfData",
    "-Dvertx.disableDnsResolver=true",
    "-Dvertx.logger-delegate-factory-class-name=io.vertx.core.logging.SLF4JLogDelegateFactory",
    # A probe is a TLS session every two seconds, and the JVM keeps each for a day unless it may keep few.
    "-Djavax.net.ssl.sessionCacheSize=64",
    # Vert.x would unpack files of the class path to ./.vertx and leave them there when killed.
    "-Dvertx.disableFileCPResolving=true",
)
"""Flags of every Java that runs, or reads, IBKR's program."""


@dataclass(frozen=True, kw_only=True)
class Java:
    """A usable Java: the program, what it calls its version, and the first number of that (8, 17)."""

    program: str
    version: str
    major: int


def parse_version(output: str) -> tuple[str, tuple[int, int]] | None:
    """Returns the version as `java -version` prints it, and as (major, update); None if there is none.

    `1.8.0_192` is (8, 192), `17.0.15` is (17, 0), `25` and `26-ea` are (25, 0) and (26, 0).
    """
    match = re.search(r'version "([^"]+)"', output)
    if match is None:
        return None
    text = match.group(1)
    old = re.match(r"1\.(\d+)(?:\.\d+(?:_(\d+))?)?", text)
    if old:
        return text, (int(old.group(1)), int(old.group(2) or 0))
    new = re.match(r"(\d+)(?:\.(\d+))?", text)
    return (text, (int(new.group(1)), int(new.group(2) or 0))) if new else None


def java_home(program: str) -> Path | None:
    """Returns the directory that a JDK or JRE is installed in, by its program; None if there is no such program."""
    import shutil

    path = shutil.which(program)
    return Path(path).resolve().parent.parent if path else None


def _version_from_release_file(program: str) -> str | None:
    """Returns what the file `release` beside the program says, in the shape of `java -version`; None without one.

    Every JDK and JRE since 8 has it, and reading it saves the 0.1 s that starting a JVM costs.
    """
    home = java_home(program)
    if home is None:
        return None
    # Java 8 has bin/java, and the same again in jre/bin/java.
    for folder in (home, home.parent) if home.name == "jre" else (home,):
        try:
            text = (folder / "release").read_text(errors="replace")
        except OSError:
            continue
        if match := re.search(r'^JAVA_VERSION=("[^"]+")', text, re.MULTILINE):
            return f"version {match.group(1)}"
    return None


def require_java(program: str, *, timeout_s: float = 20) -> Java:
    """Returns the Java to use.

    Raises:
        JavaUnavailable: not there, not Java, not answering, or older than 8u192; says which is there.
    """
    if problem := executables.start_problem(program):
        raise JavaUnavailable(f"no Java: {problem}", hint=_INSTALL_HINT)
    parsed = parse_version(_version_from_release_file(program) or "")
    if parsed is None:
        parsed = _version_from_program(program, timeout_s)
    text, version = parsed
    if version < MIN_JAVA_VERSION:
        raise JavaUnavailable(f"{program}: is Java {text}, the gateway needs 8u192 or newer", hint=_INSTALL_HINT)
    return Java(program=program, version=text, major=version[0])


def _version_from_program(program: str, timeout_s: float) -> tuple[str, tuple[int, int]]:
    try:
        result = user_command.run_user_command(
            [program, "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-version"],
            java_environment({}, Path("/")),
            timeout_s,
        )
    except FileNotFoundError as error:
        raise JavaUnavailable(f"no Java: {program!r} is not there", hint=_INSTALL_HINT) from error
    except OSError as error:
        raise JavaUnavailable(f"no Java: {program!r} does not start ({error.strerror})", hint=_INSTALL_HINT) from error
    if result.has_printed_too_much:
        raise JavaUnavailable(f"no Java: {program!r} prints no version, but without an end", hint=_INSTALL_HINT)
    if result.exit_status is None:
        raise JavaUnavailable(f"{program}: no answer to -version in {timeout_s:.0f} s", hint=_INSTALL_HINT)
    parsed = parse_version((result.error_output + result.output).decode(errors="replace"))
    if parsed is None:
        raise JavaUnavailable(f"{program}: says no Java version (exit code {result.exit_status})", hint=_INSTALL_HINT)
    return parsed


def class_path(distribution: Distribution) -> list[Path]:
    """Returns the jars that are IBKR's program, always in the same order: a class archive is valid for that alone."""
    return [distribution.jar, *sorted((distribution.root / "build/lib/runtime").glob("*.jar"))]


def command(
    java: Java,
    jars: Sequence[Path],
    *,
    conf: Path,
    conf_entry: str,
    logback: Path,
    home: Path,
    heap_mb: int,
    archive: Path | None,
    properties: Sequence[str],
) -> list[str]:
    """Returns the argument list of IBKR's program.

    IBKR's `run.sh` does the same with a shell around it. Source: `bin/run.sh` of 2023-04-24.

    Args:
        java: runs it.
        jars: the program; see `class_path`.
        conf: the jar with the program's configuration, which it reads from the class path.
        conf_entry: the name of the configuration in there.
        logback: the configuration of its log.
        home: its home directory.
        heap_mb: its heap.
        archive: the class archive, which was made of `jars`; None without one.
        properties: further options, which depend on the machine.
    """
    shared = [f"{ARCHIVE_OPTION}{archive}"] if archive else []
    return [
        java.program,
        *JVM_FLAGS,
        # An archive that does not fit is left alone.
        "-Xshare:auto",
        *shared,
        *properties,
        f"-Xms{min(heap_mb, 16)}m",
        f"-Xmx{heap_mb}m",
        # Inside a sandbox the system's user database may not answer, and the JVM's home is then "?".
        f"-Duser.home={home}",
        f"-Dlogback.configurationFile={logback}",
        "-cp",
        # Last, since a class archive is valid for a class path that begins with its own; and so that nothing in there
        # takes the place of a class of IBKR's.
        ":".join(map(str, [*jars, conf])),
        MAIN_CLASS_NAME,
        "--conf",
        conf_entry,
    ]
