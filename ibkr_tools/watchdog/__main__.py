"""The watchdog's own program, without a command line library: it stays resident for months."""

import argparse
import signal
import sys
from pathlib import Path

from loguru import logger

from ibkr_tools import entrypoint, log, privileges
from ibkr_tools.config.loader import load_config
from ibkr_tools.directories import find_directories, require_matching_directories
from ibkr_tools.errors import OutputError
from ibkr_tools.portal.client import CONNECT_TIMEOUT_S, MAX_CLOSED_CONNECTION_S, PortalClient
from ibkr_tools.portal.push_listener import PushListener
from ibkr_tools.portal.rate_limiter import SharedRateLimiter
from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.status import StatusFile
from ibkr_tools.watchdog.loop import Watchdog

WATCHDOG_READ_TIMEOUT_S = 11.0
"""IBKR gives up after 10 s with a 503, which is an answer; the loop must stay awake for systemd and for pushes."""

WATCHDOG_MAX_WAIT_S = 1.2
"""How long a call may wait for the rate limiter: a tickle's one second, not a validation's minute."""


WATCHDOG_MAX_CALL_S = 2 * WATCHDOG_MAX_WAIT_S + MAX_CLOSED_CONNECTION_S + CONNECT_TIMEOUT_S + WATCHDOG_READ_TIMEOUT_S
"""How long one call may hang, if it is repeated on a fresh connection; systemd waits for longer before it kills."""


def main() -> None:
    """Runs the watchdog until SIGTERM or SIGINT.

    Raises:
        ConfigError: the configuration is missing or wrong.
        UsageError: it is another one than that of the directories.
        ActionRequired: we are root, and the directories are a person's.
    """
    parser = argparse.ArgumentParser(prog="ibkr-tools watchdog")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--runtime-dir", type=Path)
    parser.add_argument("--state-dir", type=Path)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    directories = find_directories(runtime=options.runtime_dir, state=options.state_dir)
    require_matching_directories(directories, options.config, runtime=options.runtime_dir, state=options.state_dir)
    config = load_config(options.config or directories.config_file)
    privileges.drop_root(directories)
    log.setup(verbose=options.verbose)
    port, certificate = config.gateway.port, directories.certificate
    client = PortalClient(
        port,
        certificate,
        SharedRateLimiter(directories.pacing_file, directories.penalty_file, shared=directories.shared_pacing_file),
        read_timeout_s=WATCHDOG_READ_TIMEOUT_S,
        max_wait_s=WATCHDOG_MAX_WAIT_S,
        owns_session=True,
        on_wait=lambda where, seconds: logger.debug("{} waits {:.1f} s for its turn", where, seconds),
    )
    watchdog = Watchdog(
        client,
        config,
        directories,
        StatusFile(directories.status_file),
        SystemdNotifier(),
        make_listener=lambda deliver: PushListener(port, certificate, deliver),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: watchdog.stop())
    try:
        watchdog.run()
    except OSError as error:
        raise OutputError(f"{error.filename or directories.runtime}: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(entrypoint.run(main))
