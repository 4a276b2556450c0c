"""Keeps everybody but this machine away from the gateway's port; `python -m ibkr_tools.gateway.firewall`, as root.

IBKR's program binds every interface, and its own IP filter does not cover the WebSocket, which accepts anybody. So
the kernel drops what does not come over the loopback interface, IPv4 and IPv6. One table of ours, replaced in one
step; the machine's other rules are neither read nor changed. Source: nft(8); cpapi facts observed on the jar.
"""

import subprocess
import sys

from ibkr_tools.config import load_config
from ibkr_tools.directories import find_directories
from ibkr_tools.errors import ConfigError, IbkrError
from ibkr_tools.log import Journal

TABLE = "ibkr_tools"


def ruleset(port: int) -> str:
    """Returns what `nft -f -` loads: our table, whatever was in it before, with the one rule for `port`."""
    return (
        # Adding a table that is there is no error, deleting one that is not would be.
        f"table inet {TABLE}\n"
        f"delete table inet {TABLE}\n"
        f"table inet {TABLE} {{\n"
        "  chain input {\n"
        # Before the machine's own chains; to accept here would not overrule them, to drop does.
        "    type filter hook input priority filter - 10; policy accept;\n"
        f'    iifname != "lo" tcp dport {port} drop\n'
        "  }\n"
        "}\n"
    )


def load(port: int) -> None:
    """Loads the rule for `port`.

    Raises:
        ConfigError: there is no nft, or it or the kernel refused.
    """
    try:
        result = subprocess.run(
            ["nft", "-f", "-"], input=ruleset(port), capture_output=True, text=True, check=False, timeout=10
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


def main() -> int:
    """Loads the rule for the configured port; returns the exit code."""
    journal = Journal()
    try:
        port = load_config(find_directories().config_file).gateway.port
        load(port)
    except IbkrError as error:
        journal.error(error.message)
        if error.hint:
            journal.error(error.hint)
        return error.exit_code
    journal.info(f"port {port} is closed to everybody but this machine")
    return 0


if __name__ == "__main__":
    sys.exit(main())
