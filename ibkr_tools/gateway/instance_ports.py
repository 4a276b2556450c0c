"""`python -m ibkr_tools.gateway.instance_ports NAME [FILE]`: prints the port of an instance's gateway, for bin/install.

With FILE, an example of a configuration, it prints that with the port in it.

Two instances with one port would be one gateway for both. That of a new instance is the first that nobody has.
"""

import json
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ibkr_tools import entrypoint
from ibkr_tools.config.schema import GatewayConfig
from ibkr_tools.directories import SYSTEM_CONFIGURATION
from ibkr_tools.errors import ConfigError, UsageError
from ibkr_tools.instance import PLAIN, directory_of, installed_instances, is_name, require_name
from ibkr_tools.simulator_ports import SIMULATOR_CONTROL_PORT, SIMULATOR_PORT

DEFAULT_PORT = GatewayConfig().port
_CANDIDATES = range(DEFAULT_PORT + 1, DEFAULT_PORT + 1000)


def configured_port(file: Path) -> int | None:
    """Returns the port that a configuration names, right or wrong otherwise; None: there is none, or it is no JSON."""
    try:
        gateway = json.loads(file.read_text(encoding="utf-8-sig")).get("gateway", {})
        port = gateway.get("port", DEFAULT_PORT)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return port if isinstance(port, int) else None


def configured_ports(configuration: Path) -> dict[str, int]:
    """Returns the port of each instance that is configured, by its name; `configuration`: that of the nameless one."""
    prefix = f"{configuration.name}@"
    found = {path.name.removeprefix(prefix): path for path in configuration.parent.glob(f"{prefix}*")}
    places = {PLAIN: configuration, **{name: path for name, path in sorted(found.items()) if is_name(name)}}
    ports = {name: configured_port(path / "config.json") for name, path in places.items()}
    return {name: port for name, port in ports.items() if port is not None}


def is_free(port: int) -> bool:
    """Says whether nobody listens on a port of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104  # as the gateway does; it is closed at once
        except OSError:
            return False
    return True


def next_port(taken: Mapping[str, int]) -> int:
    """Returns the first port after the usual one that no instance has and nobody listens on.

    Raises:
        ConfigError: there is none.
    """
    others = {*taken.values(), SIMULATOR_PORT, SIMULATOR_CONTROL_PORT}
    for port in _CANDIDATES:
        if port not in others and is_free(port):
            return port
    raise ConfigError(f"no port from {_CANDIDATES.start} to {_CANDIDATES.stop - 1} is free")


def port_of(name: str, configuration: Path) -> int:
    """Returns the port of an instance: the configured one, or one for it.

    Raises:
        ConfigError: another instance has it.
    """
    taken = configured_ports(configuration)
    port = taken.pop(name, None)
    if port is None:
        return next_port(taken)
    _require_unshared(directory_of(configuration, name) / "config.json", port, taken)
    return port


def _require_unshared(file: Path, port: int, others: Mapping[str, int]) -> None:
    if sharing := [other for other, its in others.items() if its == port]:
        free = next_port({**others, "": port})
        raise ConfigError(
            f"{file}: gateway.port {port} is that of the instance {', '.join(sharing)} already",
            hint=f'{free} is free: "gateway": {{"port": {free}}} in that file.',
        )


def require_own_port(instance: str | None, file: Path, runtime: Path) -> None:
    """Checks that no other instance has the port of a configuration, or that which it would have without one.

    An instance that was removed has a configuration still, and counts for nothing; so does one whose configuration this
    user may not read.

    Args:
        instance: whose it is; None: that without a name.
        file: the configuration, in the directory of the instance, or in any other.
        runtime: the runtime directory of the instance.

    Raises:
        ConfigError: another instance has it.
    """
    suffix = f"@{instance}" if instance else ""
    if not (file.parent.name.endswith(suffix) and runtime.name.endswith(suffix)):
        # A directory of somebody's own choice is beside nobody's.
        return
    port = configured_port(file) if file.exists() else DEFAULT_PORT
    if port is None:
        return
    configuration, plain_runtime = (path.with_name(path.name.removesuffix(suffix)) for path in (file.parent, runtime))
    installed = {PLAIN, *installed_instances(plain_runtime)} - {instance or PLAIN}
    taken = configured_ports(configuration)
    _require_unshared(file, port, {name: its for name, its in taken.items() if name in installed})


def with_port(document: Mapping[str, Any], port: int) -> dict[str, Any]:
    """Returns a configuration with `gateway.port` in it; what else is there stays as it is."""
    return {**document, "gateway": {**document.get("gateway", {}), "port": port}}


def main(arguments: Sequence[str], configuration: Path = SYSTEM_CONFIGURATION) -> int:
    """Prints the port of one instance, or the example of a configuration with that port in it.

    Args:
        arguments: the instance's name, and the example's file if that is to be printed.
        configuration: the directory of the instance without a name.

    Raises:
        UsageError: no name, or too much.
        ConfigError: see `port_of`.
    """
    if len(arguments) not in {1, 2}:
        raise UsageError("one instance is to be named, and at most one file")
    port = port_of(require_name(arguments[0]), configuration)
    if len(arguments) == 1:
        sys.stdout.write(f"{port}\n")
        return 0
    document = json.loads(Path(arguments[1]).read_text(encoding="utf-8"))
    sys.stdout.write(f"{json.dumps(with_port(document, port), indent=2)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(entrypoint.run(lambda: main(sys.argv[1:])))
