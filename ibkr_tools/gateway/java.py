"""The Java program: is it there and new enough, and the command line that keeps it small."""

import re
from dataclasses import dataclass
from pathlib import Path

from ibkr_tools import executables, user_command
from ibkr_tools.errors import JavaUnavailable
from ibkr_tools.gateway.distribution import Distribution
from ibkr_tools.gateway.launch_plan import java_environment

MIN_JAVA_VERSION = (8, 192)
"""IBKR's documentation asks for Java 8, update 192, or newer."""

_INSTALL_HINT = "sudo apt install default-jre-headless"

# A line per reason; together 104 MB resident instead of 145 MB after 100 requests, and a start that is no slower.
_JVM_FLAGS = (
    "-server",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:ReservedCodeCacheSize=24m",
    "-Xss512k",
    "-Xshare:auto",
    # Out of memory, systemd decides, not a half-dead JVM; exit status 3.
    "-XX:+ExitOnOutOfMemoryError",
    # No files in /tmp/hsperfdata_*.
    "-XX:-UsePerfData",
    "-Dvertx.disableDnsResolver=true",
    "-Djava.net.preferIPv4Stack=true",
    "-Dvertx.logger-delegate-factory-class-name=io.vertx.core.logging.SLF4JLogDelegateFactory",
    # A probe is a TLS session every two seconds, and the JVM keeps each for a day unless it may keep few.
    "-Djavax.net.ssl.sessionCacheSize=64",
    # Vert.x would unpack files of the class path to ./.vertx and leave them there when killed.
    "-Dvertx.disableFileCPResolving=true",
)


@dataclass(frozen=True, kw_only=True)
class Java:
    """A usable Java: the program and what it calls its version."""

    program: str
    version: str


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


def _version_from_release_file(program: str) -> str | None:
    """Returns what the file `release` beside the program says, in the shape of `java -version`; None without one.

    Every JDK and JRE since 8 has it, and reading it saves the 0.1 s that starting a JVM costs.
    """
    import shutil

    path = shutil.which(program)
    if path is None:
        return None
    home = Path(path).resolve().parent.parent
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
    return Java(program=program, version=text)


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


def command(java: Java, distribution: Distribution, *, conf: Path, home: Path, heap_mb: int) -> list[str]:
    """Returns the argument list; the jar reads `conf.yaml` and `logback.xml` from the folder `conf`.

    IBKR's `run.sh` does the same with a shell around it. Source: `bin/run.sh` of 2023-04-24.
    """
    root = distribution.root
    classes = f"{conf}:{distribution.jar}:{root}/build/lib/runtime/*"
    return [
        java.program,
        *_JVM_FLAGS,
        f"-Xms{min(heap_mb, 16)}m",
        f"-Xmx{heap_mb}m",
        # Inside a sandbox the system's user database may not answer, and the JVM's home is then "?".
        f"-Duser.home={home}",
        "-cp",
        classes,
        "ibgroup.web.core.clientportal.gw.GatewayStart",
        "--conf",
        "conf.yaml",
    ]
