"""`python -m ibkr_tools.gateway`: the gateway, without the libraries of the command line."""

import argparse
import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from ibkr_tools import entrypoint, files, privileges
from ibkr_tools.config.loader import load_config
from ibkr_tools.config.schema import GatewayConfig
from ibkr_tools.directories import Directories, find_directories, require_matching_directories
from ibkr_tools.errors import IbkrError, OutputError
from ibkr_tools.gateway import preparation
from ibkr_tools.gateway.filter_probe import FilterPolicy
from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.status import GatewaySection, StatusFile, utc_now

FILTER_VARIABLE = "IBKR_TOOLS_PACKET_FILTER"
"""The environment variable with which the unit names a `FilterPolicy`."""


PREPARATION_TIMEOUT_S = 60.0
"""How long "starting" is believed before the parent writes the status itself."""


def _write_status(state: Literal["starting", "stopped"], config: GatewayConfig, directories: Directories) -> None:
    now = utc_now()
    section = GatewaySection(
        updated_at=now,
        fresh_for_s=PREPARATION_TIMEOUT_S if state == "starting" else None,
        pid=os.getpid() if state == "starting" else None,
        state=state,
        since=now,
        port=config.port,
        upstream=config.upstream,
    )
    try:
        files.make_directory(directories.runtime, mode=0o700)
        # A request from before this start is fulfilled by it.
        files.remove(directories.restart_request)
        if state == "starting":
            # For ibkr-relay.service: the port of this start, whatever the configuration says later.
            line = f"GATEWAY_PORT={config.port}\n".encode()
            files.write_atomically(directories.gateway_environment, line, mode=0o640, fsync=False)
        StatusFile(directories.status_file).write(section)
    except OSError as error:
        raise OutputError(f"{error.filename or directories.runtime}: {error.strerror}") from error


def run(config: GatewayConfig, directories: Directories, filter_policy: FilterPolicy) -> None:
    """Prepares everything and becomes the parent of Java; returns never. What the preparation needed leaves the memory.

    Raises:
        IbkrError: as `preparation.prepare`.
    """
    _write_status("starting", config, directories)
    try:
        plan = preparation.prepare(config, directories, filter_policy=filter_policy)
    except IbkrError as error:
        SystemdNotifier().status(error.message)
        _write_status("stopped", config, directories)
        raise
    # The same process id, so systemd notices nothing.
    os.execv(sys.executable, plan.parent_command())  # noqa: S606


def filter_policy_of(environ: Mapping[str, str]) -> FilterPolicy:
    """Returns what the unit says of the packet filter; whatever is not known there is a start by hand."""
    with contextlib.suppress(ValueError):
        return FilterPolicy(environ.get(FILTER_VARIABLE, ""))
    return FilterPolicy.PROBED


def main() -> None:
    """Runs the gateway until it ends or is asked to end.

    Raises:
        IbkrError: the gateway cannot be started; see `run`.
        UsageError: the configuration is another one than that of the directories.
    """
    parser = argparse.ArgumentParser(prog="ibkr-tools gateway")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--runtime-dir", type=Path)
    parser.add_argument("--state-dir", type=Path)
    options = parser.parse_args()
    directories = find_directories(runtime=options.runtime_dir, state=options.state_dir)
    require_matching_directories(directories, options.config, runtime=options.runtime_dir, state=options.state_dir)
    config = load_config(options.config or directories.config_file).gateway
    privileges.drop_root(directories)
    run(config, directories, filter_policy_of(os.environ))


if __name__ == "__main__":
    sys.exit(entrypoint.run(main))
