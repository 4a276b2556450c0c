"""What `config check` says beyond the single values: what the parts that get them would refuse, and why.

Refusals hold for everybody. Remarks are about this machine, or about the units: a drop-in may have changed those.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from ibkr_tools import executables
from ibkr_tools.config.schema import Config, GatewayConfig
from ibkr_tools.config.values import is_loopback
from ibkr_tools.instance import current_instance, in_names_of

_HIDDEN_PATHS = {"/home": "ProtectHome=yes", "/root": "ProtectHome=yes", "/run/user": "ProtectHome=yes"} | {
    "/tmp": "PrivateTmp=yes",  # noqa: S108  # a name to look for
    "/var/tmp": "PrivateTmp=yes",  # noqa: S108
}
"""What the units do not see of this machine, and by which of their directives."""

_EXEC_PATHS = ("/usr", "/lib", "/lib64", "/opt/ibkr-tools")
"""ExecPaths= of every unit."""

_MORE_EXEC_PATHS = {"ibkr-login": ("/opt/google/chrome",), "ibkr-alert": ("/etc/ibkr-tools",)}

UNIT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of a unit; see systemd.exec(5)."""

_JAVA_OVERHEAD_MB = 64
"""What Java takes besides its heap, at least."""


def _programs(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yields key, unit and name of each program that the configuration names instead of leaving it to us."""
    if config.gateway.java != GatewayConfig().java:
        yield "gateway.java", "ibkr-gateway", config.gateway.java
    if config.login.browser is not None:
        yield "login.browser", "ibkr-login", config.login.browser
    if config.login.driver is not None:
        yield "login.driver", "ibkr-login", config.login.driver
    if config.alerts.command:
        yield "alerts.command", "ibkr-alert", config.alerts.command[0]
    second = config.login.second_factor
    if second.method == "command" and second.command:
        yield "login.second_factor.command", "ibkr-login", second.command[0]


def _paths(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yields key, unit and path of each file or directory that the configuration names."""
    second = config.login.second_factor
    for key, unit, path in (
        ("gateway.directory", "ibkr-gateway", config.gateway.directory),
        ("login.password_file", "ibkr-login", config.login.password_file),
        ("login.second_factor.totp_file", "ibkr-login", second.totp_file if second.method == "totp" else None),
        ("history.password_file", "ibkr-flex", config.history.password_file),
    ):
        if path is not None:
            yield key, unit, path


def unusable_values(config: Config) -> Iterator[str]:
    """Yields one line for each value that the kernel or another program would refuse here.

    The second factor's command is not among them; see `login.otp.check_second_factor`.
    """
    for key, _, name in _programs(config):
        if key == "alerts.command":
            problem = executables.command_problem(config.alerts.command)
        elif key == "login.second_factor.command":
            continue
        else:
            problem = executables.start_problem(name)
        if problem:
            yield f"{key}: {problem}"
    driver, browser = config.login.driver or "", config.login.browser or ""
    if Path(browser).name == "chromedriver":
        yield "login.browser: chromedriver is the driver (login.driver); Chromium itself belongs there"
    if Path(driver).name in {"chromium", "chromium-browser", "google-chrome", "chrome"}:
        yield f"login.driver: {Path(driver).name} is the browser (login.browser); chromedriver belongs there"
    directory = config.gateway.directory
    # Unlike Path.is_dir, it takes a name that is too long for one that is not there.
    if directory and os.path.lexists(path := Path(directory).expanduser()) and not os.path.isdir(path):  # noqa: PTH112
        yield "gateway.directory: not a directory; the one that bin/run.sh and build/ are in belongs there"


def machine_warnings(config: Config, proc: Path = Path("/proc")) -> Iterator[str]:
    """Yields one line for each value that this machine may not be made for."""
    gateway = config.gateway
    lowest = _numbers(proc / "sys/net/ipv4/ip_unprivileged_port_start")[:1]
    if lowest and gateway.port < lowest[0]:
        yield f"gateway.port: below {lowest[0]} only root may listen, and the gateway does not run as root"
    port_range = _numbers(proc / "sys/net/ipv4/ip_local_port_range")
    if len(port_range) == 2 and port_range[0] <= gateway.port <= port_range[1]:  # noqa: PLR2004
        yield (
            f"gateway.port: from {port_range[0]} to {port_range[1]} the kernel gives ports to outgoing connections; "
            "one may have it when the gateway starts"
        )
    total_mb = next(iter(_numbers(proc / "meminfo")), 0) // 1024
    if total_mb and gateway.heap_mb + _JAVA_OVERHEAD_MB > total_mb:
        yield f"gateway.heap_mb: {gateway.heap_mb} MB of Java's heap, and this machine has {total_mb} MB"
    scheme, _, host = gateway.upstream.partition("://")
    name, _, port = host.partition(":")
    if scheme == "http" and not (name == "localhost" or name.startswith("127.")):
        yield f"gateway.upstream: http to {name}: the password would go there unencrypted"
    if scheme == "https" and port not in ("", "443"):
        yield f"gateway.upstream: the gateway's push connection goes to port 443 of {name}, whatever port is said"
    if (host := _database_host(config.history.database)) and not is_loopback(f"//{host}"):
        yield (
            f"history.database: without sslmode=verify-full, whoever is on the way to {host} can take the password "
            "and read the history"
        )
    for key, _, path in _paths(config):
        if not path.startswith(("/", "~")):
            yield f"{key}: a relative path means another place for whoever starts elsewhere; the units start in /"


def _database_host(url: str | None) -> str:
    """Returns the host to which the database's password may go unprotected; empty for none, or a socket's directory."""
    parts = urlsplit(url or "")
    query = dict(parse_qsl(parts.query))
    host = query.get("host") or parts.hostname or ""
    return "" if query.get("sslmode") == "verify-full" or host == "::1" or host.startswith("/") else host


def _exec_paths(unit: str) -> Iterator[str]:
    """Yields ExecPaths= of a unit, of the instance that is worked for."""
    yield from _EXEC_PATHS
    for path in _MORE_EXEC_PATHS.get(unit, ()):
        yield in_names_of(path, current_instance())


def unit_warnings(config: Config, service_uid: int | None = None) -> Iterator[str]:
    """Yields one line for each value with which the units, as they are shipped, cannot work.

    `service_uid`: the user id of `ibkr`, whose the units are; None where there is no such user.
    """
    for key, unit, path in _paths(config):
        if unit != "ibkr-gateway" and service_uid is not None and _owner(Path(path)) not in (None, service_uid):
            yield f"{key}: {unit} runs as ibkr and cannot read it, whose it is not: chown ibkr {path}"
        if path.startswith("~"):
            yield f"{key}: for {unit} ~ is the home directory of the user ibkr"
        elif hidden := _hidden(Path(path)):
            yield f"{key}: {unit} does not see {hidden[0]} ({hidden[1]}); put it elsewhere, such as below /etc or /var"
    for key, unit, name in _programs(config):
        program = name if name.startswith("/") else shutil.which(name, path=UNIT_PATH)
        if program is None:
            if shutil.which(name):
                yield f"{key}: {name} is on your PATH, and not on that of {unit}; write its path out"
            continue
        real = Path(os.path.realpath(program))
        if hidden := _hidden(Path(program)) or _hidden(real):
            yield f"{key}: {unit} does not see {hidden[0]} ({hidden[1]}); install it below /usr"
        elif not any(real.is_relative_to(directory) for directory in _exec_paths(unit)):
            yield f"{key}: {unit} starts no program in {real.parent} (NoExecPaths=); ExecPaths= in a drop-in allows it"


def _owner(path: Path) -> int | None:
    """Returns whose a file is; None for one that is not there, or may not be looked at."""
    try:
        return path.stat().st_uid
    except OSError:
        return None


def _hidden(path: Path) -> tuple[str, str] | None:
    return next(((place, why) for place, why in _HIDDEN_PATHS.items() if path.is_relative_to(place)), None)


def _numbers(path: Path) -> list[int]:
    """Returns the numbers in the first line of a file of the kernel's; none if it is not there."""
    try:
        words = path.read_text().partition("\n")[0].split()
    except OSError:
        return []
    return [int(word) for word in words if word.isdecimal()]
