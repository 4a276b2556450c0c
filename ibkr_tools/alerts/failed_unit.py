"""`python -m ibkr_tools.alerts.failed_unit NAME`: puts into the outbox that a unit has failed.

systemd starts it by OnFailure=, with what it knows in MONITOR_* (systemd.exec(5), since 251). It delivers nothing and
needs no network.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from loguru import logger

from ibkr_tools import alert_outbox, entrypoint, log
from ibkr_tools.alert_outbox import AlertMessage
from ibkr_tools.directories import find_directories
from ibkr_tools.errors import OutputError, UsageError
from ibkr_tools.status import FetchSection, StatusFile, utc_now

TEST_UNIT = "test"
"""`systemctl start ibkr-alert@test` tries the whole way that a message takes."""

_RESULT_TEXTS = {
    "core-dump": "crashed",
    "oom-kill": "ran out of memory",
    "protocol": "ended before it was ready",
    "resources": "could not be started by systemd",
    "start-limit-hit": "failed too often in a row",
    "timeout": "took too long to start or to stop",
    "watchdog": "hung",
}

_EXIT_CODE_TEXTS = {
    "1": "it crashed",
    "2": "its command line is wrong",
    "65": "IBKR's answer was not understood",
    "69": "the gateway did not answer",
    "70": "a bug in ibkr-tools",
    "73": "a file could not be written",
    "75": "there was no session",
    "77": "a person must act",
    "78": "something must be configured or installed",
}

_NEXT_STEPS = {
    "ibkr-fetch.service": "the next snapshot is tried when its timer elapses",
    "ibkr-firewall.service": "nothing; the gateway does not start without its packet filter",
}


_START_COMMANDS = {"ibkr-fetch.service": "systemctl start ibkr-fetch"}
"""How a unit is started again, where that is not by the gateway's."""


def describe_failure(environ: Mapping[str, str]) -> str:
    """Says how a unit ended, from what systemd tells its OnFailure= unit."""
    result, code, status = (
        environ.get(f"MONITOR_{name}", "") for name in ("SERVICE_RESULT", "EXIT_CODE", "EXIT_STATUS")
    )
    how = _RESULT_TEXTS.get(result, "failed")
    if code == "exited" and status:
        meaning = _EXIT_CODE_TEXTS.get(status)
        return f"{how} (exit code {status}{f': {meaning}' if meaning else ''})"
    if result == "signal" and status:
        return f"was killed by SIG{status}"
    return how


def failure_message(unit: str, environ: Mapping[str, str]) -> AlertMessage:
    """Returns what a person is told about a unit that has failed."""
    return AlertMessage(
        topic=alert_outbox.unit_topic(unit),
        at=utc_now(),
        what=f"{unit} {describe_failure(environ)}",
        next=_NEXT_STEPS.get(unit, "nothing; systemd has given it up"),
        todo=f"journalctl -u {unit} -n 20 says why; then {_START_COMMANDS.get(unit, 'systemctl start ibkr-gateway')}",
    )


def is_given_up(unit: str) -> bool:
    """Says whether systemd has given a unit up; True where it does not say.

    From 254 on OnFailure= is also started for a failure that Restart= mends two seconds later, and for a unit that
    was not even tried because one that it needs has failed, and said so itself. Observed on 252: only the latter.
    """
    try:
        state = subprocess.run(
            ["systemctl", "show", "--value", "--property=ActiveState", unit],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return True
    return state in {"failed", ""}


def is_reported_by_watchdog(unit: str) -> bool:
    """Says whether a person is told why a unit has failed by somebody who knows: nobody needs two messages."""
    if unit != "ibkr-fetch.service":
        return False
    section = StatusFile(find_directories().status_file).read_section(FetchSection)
    return section is not None and section.state == "failed" and section.topic is not None


def main(arguments: Sequence[str]) -> int:
    """Puts the message for one unit.

    Raises:
        UsageError: not one name.
        OutputError: the outbox cannot be written.
    """
    log.setup()
    if len(arguments) != 1:
        raise UsageError("one unit is to be named")
    (unit,) = arguments
    if unit == TEST_UNIT:
        message = alert_outbox.test_message(utc_now())
    elif is_reported_by_watchdog(unit):
        logger.info("{} has failed for a reason that the watchdog tells", unit)
        return 0
    elif is_given_up(unit):
        message = failure_message(unit, os.environ)
    else:
        logger.info("{} comes back by itself, or was not tried; nobody is told", unit)
        return 0
    outbox = find_directories().outbox
    try:
        alert_outbox.put(outbox, message)
    except OSError as error:
        raise OutputError(f"{outbox}: {error.strerror}") from error
    return 0


if __name__ == "__main__":
    sys.exit(entrypoint.run(lambda: main(sys.argv[1:])))
