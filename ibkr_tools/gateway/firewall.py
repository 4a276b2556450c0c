"""Keeps all but a few users of this machine away from our ports; `python -m ibkr_tools.gateway.firewall`, as root.

IBKR's program binds every interface, and its own IP filter does not cover the WebSocket, which accepts anybody. So the
kernel drops what comes from other machines, and rejects what other users of this one send there: root, the user of the
units and the members of its group pass. One table of ours, replaced in one step; the machine's other rules are neither
read nor changed. Source: nft(8); observed on the jar of 2023-04-24.
"""

import grp
import pwd
import subprocess
import sys
from collections.abc import Collection, Iterator
from urllib.parse import urlsplit

from loguru import logger

from ibkr_tools import entrypoint, log
from ibkr_tools.config.loader import load_config
from ibkr_tools.config.schema import GatewayConfig
from ibkr_tools.directories import find_directories
from ibkr_tools.errors import ConfigError
from ibkr_tools.gateway.filter_probe import PROBE_ADDRESS
from ibkr_tools.installation import INSTALL_SERVICES
from ibkr_tools.instance import current_instance
from ibkr_tools.privileges import service_user
from ibkr_tools.simulator_ports import SIMULATOR_CONTROL_PORT, SIMULATOR_PORT

DEFAULT_TABLE = "ibkr_tools"
"""Our table; that of an instance with a name has it at its end."""


def ruleset(ports: Collection[int], users: Collection[int], table: str = DEFAULT_TABLE) -> str:
    """Returns what `nft -f -` loads: our table, whatever was in it before.

    Args:
        ports: those to guard, on every address of this machine.
        users: the user ids that may connect to them.
        table: its name.
    """

    def elements(numbers: Collection[int]) -> str:
        return ", ".join(str(number) for number in sorted(numbers))

    return (
        # Adding a table that is there is no error, deleting one that is not would be.
        f"table inet {table}\n"
        f"delete table inet {table}\n"
        f"table inet {table} {{\n"
        f"  set ports {{ type inet_service; elements = {{ {elements(ports)} }}; }}\n"
        f"  set users {{ type uid; elements = {{ {elements(users)} }}; }}\n"
        "  chain input {\n"
        # Before the machine's own chains; to accept here would not overrule them, to drop does.
        "    type filter hook input priority filter - 10; policy accept;\n"
        '    iifname != "lo" tcp dport @ports drop\n'
        "  }\n"
        "  chain output {\n"
        "    type filter hook output priority filter - 10; policy accept;\n"
        '    oifname "lo" tcp dport @ports jump local\n'
        "  }\n"
        "  chain local {\n"
        # Nobody uses this address: who is refused there knows that the table is loaded.
        f"    ip daddr {PROBE_ADDRESS} reject with tcp reset\n"
        "    meta skuid @users accept\n"
        "    meta skuid != @users reject with tcp reset\n"
        # No socket, so no user: the rest of a connection that was closed may pass, a new one may not.
        "    tcp flags & (fin | syn | rst | ack) == syn drop\n"
        "  }\n"
        "}\n"
    )


def table_name(instance: str | None) -> str:
    """Returns the name of an instance's table: each guards its own port for its own users."""
    return f"{DEFAULT_TABLE}-{instance}" if instance else DEFAULT_TABLE


def guarded_ports(config: GatewayConfig, instance: str | None = None) -> set[int]:
    """Returns our ports: the gateway's, and those of the simulator where that stands in for IBKR's servers.

    `ibkr-simulator.service` belongs to the instance without a name, which guards its ports; another's is its own.
    """
    upstream = urlsplit(config.upstream)
    if upstream.hostname not in {"localhost", "::1"} and not str(upstream.hostname).startswith("127."):
        return {config.port}
    own = {config.port, *([upstream.port] if upstream.port else [])}
    return own if instance else {*own, SIMULATOR_PORT, SIMULATOR_CONTROL_PORT}


def _members(group: grp.struct_group) -> Iterator[int]:
    for name in group.gr_mem:
        try:
            yield pwd.getpwnam(name).pw_uid
        except KeyError:
            # A user that is gone stays in the group's list.
            continue
    yield from (user.pw_uid for user in pwd.getpwall() if user.pw_gid == group.gr_gid)


def permitted_users(name: str) -> set[int]:
    """Returns the user ids of root, of the user `name` and of the members of the group of that name.

    Raises:
        ConfigError: there is no such user or group.
    """
    try:
        return {0, pwd.getpwnam(name).pw_uid, *_members(grp.getgrnam(name))}
    except KeyError:
        raise ConfigError(f"there is no user and group {name}", hint=f"{INSTALL_SERVICES} makes them.") from None


def load(ports: Collection[int], users: Collection[int], table: str = DEFAULT_TABLE) -> None:
    """Loads the table.

    Raises:
        ConfigError: there is no nft, or it or the kernel refused.
    """
    try:
        result = subprocess.run(
            ["nft", "-f", "-"],
            input=ruleset(ports, users, table),
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except FileNotFoundError:
        raise ConfigError("nft is not installed", hint="apt install nftables") from None
    except subprocess.TimeoutExpired:
        raise ConfigError("nft did not finish within 10 s") from None
    if result.returncode != 0:
        reason = (result.stderr.strip() or f"nft ended with {result.returncode}").splitlines()[0]
        raise ConfigError(
            f"the packet filter could not be loaded: {reason}",
            hint="The gateway does not start without it; docs/systemd.md says how to use another packet filter.",
        )


def main(user: str | None = None) -> None:
    """Loads the table for the configured ports; `user`: whose group may connect, None: the user of the units.

    Raises:
        ConfigError: the configuration, the group of the units or nft is not as it has to be.
    """
    log.setup()
    instance = current_instance()
    ports = guarded_ports(load_config(find_directories().config_file).gateway, instance)
    users = permitted_users(user or service_user())
    load(ports, users, table_name(instance))
    noun, numbers = "port" if len(ports) == 1 else "ports", ", ".join(map(str, sorted(ports)))
    logger.info("{} {}: open to {} users of this machine, closed to everybody else", noun, numbers, len(users))


if __name__ == "__main__":
    sys.exit(entrypoint.run(main))
