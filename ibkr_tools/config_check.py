"""What `config check` says beyond the single values: what the parts that get them would refuse, and why.

Refusals hold for everybody. Remarks are about this machine, or about the units: a drop-in may have changed those.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ibkr_tools import programs
from ibkr_tools.config import Config, GatewayConfig

_HIDDEN = {"/home": "ProtectHome=yes", "/root": "ProtectHome=yes", "/run/user": "ProtectHome=yes"} | {
    "/tmp": "PrivateTmp=yes",  # noqa: S108  # a name to look for
    "/var/tmp": "PrivateTmp=yes",  # noqa: S108
}
"""What the units do not see of this machine, and by which of their directives."""

_EXECUTABLE = ("/usr", "/lib", "/lib64", "/opt/ibkr-tools/venv")
"""ExecPaths= of every unit."""

_MORE_EXECUTABLE = {"ibkr-login": ("/opt/google/chrome",), "ibkr-notify": ("/etc/ibkr-tools",)}

UNIT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of a unit; see systemd.exec(5)."""

_JAVA_OWN_MB = 64
"""What Java takes besides its heap, at least."""


def _programs(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yields key, unit and name of each program that the configuration names instead of leaving it to us."""
    if config.gateway.java != GatewayConfig().java:
        yield "gateway.java", "ibkr-gateway", config.gateway.java
    if config.login.browser is not None:
        yield "login.browser", "ibkr-login", config.login.browser
    if config.login.driver is not None:
        yield "login.driver", "ibkr-login", config.login.driver
    if config.notify.command:
        yield "notify.command", "ibkr-notify", config.notify.command[0]
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
    ):
        if path is not None:
            yield key, unit, path


def refusals(config: Config) -> Iterator[str]:
    """Yields one line for each value that the kernel or another program would refuse here.

    The second factor's command is not among them; see `login.factor.check_second_factor`.
    """
    for key, _, name in _programs(config):
        if key == "notify.command":
            said = programs.objection_to_command(config.notify.command)
        elif key == "login.second_factor.command":
            continue
        else:
            said = programs.objection(name)
        if said:
            yield f"{key}: {said}"
    driver, browser = config.login.driver or "", config.login.browser or ""
    if Path(browser).name == "chromedriver":
        yield "login.browser: chromedriver is the driver (login.driver); Chromium itself belongs there"
    if Path(driver).name in {"chromium", "chromium-browser", "google-chrome", "chrome"}:
        yield f"login.driver: {Path(driver).name} is the browser (login.browser); chromedriver belongs there"
    directory = config.gateway.directory
    # Unlike Path.is_dir, it takes a name that is too long for one that is not there.
    if directory and os.path.lexists(own := Path(directory).expanduser()) and not os.path.isdir(own):  # noqa: PTH112
        yield "gateway.directory: not a directory; the one that bin/run.sh and build/ are in belongs there"


def machine_remarks(config: Config, proc: Path = Path("/proc")) -> Iterator[str]:
    """Yields one line for each value that this machine may not be made for."""
    gateway = config.gateway
    lowest = _numbers(proc / "sys/net/ipv4/ip_unprivileged_port_start")[:1]
    if lowest and gateway.port < lowest[0]:
        yield f"gateway.port: below {lowest[0]} only root may listen, and the gateway does not run as root"
    span = _numbers(proc / "sys/net/ipv4/ip_local_port_range")
    if len(span) == 2 and span[0] <= gateway.port <= span[1]:  # noqa: PLR2004
        yield (
            f"gateway.port: from {span[0]} to {span[1]} the kernel gives ports to outgoing connections; "
            "one may have it when the gateway starts"
        )
    total_mb = next(iter(_numbers(proc / "meminfo")), 0) // 1024
    if total_mb and gateway.heap_mb + _JAVA_OWN_MB > total_mb:
        yield f"gateway.heap_mb: {gateway.heap_mb} MB of Java's heap, and this machine has {total_mb} MB"
    scheme, _, host = gateway.upstream.partition("://")
    name, _, port = host.partition(":")
    if scheme == "http" and not (name == "localhost" or name.startswith("127.")):
        yield f"gateway.upstream: http to {name}: the password would go there unencrypted"
    if scheme == "https" and port not in ("", "443"):
        yield f"gateway.upstream: the gateway's push connection goes to port 443 of {name}, whatever port is said"
    for key, _, path in _paths(config):
        if not path.startswith(("/", "~")):
            yield f"{key}: a relative path means another place for whoever starts elsewhere; the units start in /"


def unit_remarks(config: Config, service_uid: int | None = None) -> Iterator[str]:
    """Yields one line for each value with which the units, as they are shipped, cannot work.

    `service_uid`: the user id of `ibkr`, whose the units are; None where there is no such user.
    """
    for key, unit, path in _paths(config):
        if unit == "ibkr-login" and service_uid is not None and _owner(Path(path)) not in (None, service_uid):
            yield f"{key}: {unit} runs as ibkr and cannot read it, whose it is not: chown ibkr {path}"
        if path.startswith("~"):
            yield f"{key}: for {unit} ~ is the home directory of the user ibkr"
        elif hidden := _hidden(Path(path)):
            yield f"{key}: {unit} does not see {hidden[0]} ({hidden[1]}); put it elsewhere, such as below /etc or /var"
    for key, unit, name in _programs(config):
        found = name if name.startswith("/") else shutil.which(name, path=UNIT_PATH)
        if found is None:
            if shutil.which(name):
                yield f"{key}: {name} is on your PATH, and not on that of {unit}; write its path out"
            continue
        real = Path(os.path.realpath(found))
        if hidden := _hidden(Path(found)) or _hidden(real):
            yield f"{key}: {unit} does not see {hidden[0]} ({hidden[1]}); install it below /usr"
        elif not any(real.is_relative_to(one) for one in (*_EXECUTABLE, *_MORE_EXECUTABLE.get(unit, ()))):
            yield f"{key}: {unit} starts no program in {real.parent} (NoExecPaths=); ExecPaths= in a drop-in allows it"


def _owner(path: Path) -> int | None:
    """Returns whose a file is; None for one that is not there, or may not be looked at."""
    try:
        return path.stat().st_uid
    except OSError:
        return None


def _hidden(path: Path) -> tuple[str, str] | None:
    return next(((place, why) for place, why in _HIDDEN.items() if path.is_relative_to(place)), None)


def _numbers(path: Path) -> list[int]:
    """Returns the numbers in the first line of a file of the kernel's; none if it is not there."""
    try:
        words = path.read_text().partition("\n")[0].split()
    except OSError:
        return []
    return [int(word) for word in words if word.isdecimal()]
