"""`python -m ibkr_tools.gateway`: the gateway, without the libraries of the command line."""

import getopt
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ibkr_tools import entrypoint, files, log, privileges
from ibkr_tools.config.loader import load_config
from ibkr_tools.config.schema import GatewayConfig
from ibkr_tools.directories import Directories, find_directories, require_matching_directories
from ibkr_tools.errors import IbkrError, OutputError, UsageError
from ibkr_tools.gateway import launch_plan
from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.status import GatewaySection, StatusFile, utc_now

FILTER, REQUIRED, OTHER = "IBKR_TOOLS_PACKET_FILTER", "required", "other"
"""The environment variable with which the unit insists on the packet filter, or on another one; docs/systemd.md."""

USAGE = "usage: python -m ibkr_tools.gateway [--config FILE] [--runtime-dir DIR] [--state-dir DIR]"


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


def run(config: GatewayConfig, directories: Directories) -> None:
    """Prepares everything and becomes the parent of Java; returns never.

    Raises:
        IbkrError: as `launch_plan.prepare`.
    """
    _write_status("starting", config, directories)
    try:
        plan = launch_plan.prepare(
            config,
            directories,
            filter_required=os.environ.get(FILTER) == REQUIRED,
            filter_probed=os.environ.get(FILTER) != OTHER,
        )
    except IbkrError as error:
        SystemdNotifier().status(error.message)
        _write_status("stopped", config, directories)
        raise
    launch_plan.exec_parent(plan)


def main(arguments: Sequence[str]) -> int:
    """Runs the gateway until it ends or is asked to end.

    Raises:
        IbkrError: the gateway cannot be started; see `run`.
        UsageError: another option, or directories of another configuration.
    """
    log.setup()
    try:
        options, rest = getopt.getopt(list(arguments), "", ["config=", "runtime-dir=", "state-dir=", "help"])
    except getopt.GetoptError as error:
        raise UsageError(str(error), hint=USAGE) from error
    values = dict(options)
    if "--help" in values:
        print(USAGE)
        return 0
    if rest:
        raise UsageError(f"unexpected argument {rest[0]!r}", hint=USAGE)

    def path(option: str) -> Path | None:
        return Path(values[option]).absolute() if option in values else None

    file, runtime, state = path("--config"), path("--runtime-dir"), path("--state-dir")
    directories = find_directories(runtime=runtime, state=state)
    require_matching_directories(directories, file, runtime=runtime, state=state)
    config = load_config(file or directories.config_file).gateway
    privileges.drop_root(directories)
    run(config, directories)
    return 0


if __name__ == "__main__":
    sys.exit(entrypoint.run(lambda: main(sys.argv[1:])))
