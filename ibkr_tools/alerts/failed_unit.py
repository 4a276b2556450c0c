"""`python -m ibkr_tools.alerts.failed_unit NAME`: puts into the outbox that a unit has failed.

NAME is the plain name of a unit also where an instance's has failed, as in the topics of messages.

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
from ibkr_tools.instance import current_instance, unit_of
from ibkr_tools.service_result import describe_unit_end
from ibkr_tools.status import FetchSection, FlexSection, StatusFile, utc_now

RECENT_S = 300.0
"""What a unit has said last is about its failure if it is no older, in seconds: it is the last thing that it does."""

TEST_UNIT = "test"
"""`systemctl start ibkr-alert@test` tries the whole way that a message takes."""


def unit_properties(unit: str) -> Mapping[str, str]:
    """Returns `ActiveState`, `TriggeredBy` and `RequiredBy` of a unit; empty where systemd does not say."""
    command = ["systemctl", "show", "--property=ActiveState,TriggeredBy,RequiredBy", unit]
    try:
        output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return {name: value for name, _, value in (line.partition("=") for line in output.splitlines())}


def is_given_up(properties: Mapping[str, str]) -> bool:
    """Says whether systemd has given a unit up; True where it does not say.

    From 254 on OnFailure= is also started for a failure that Restart= mends two seconds later, and for a unit that
    was not even tried because one that it needs has failed, and said so itself. Observed on 252: only the latter.
    """
    return properties.get("ActiveState", "") in {"failed", ""}


def failure_message(unit: str, environ: Mapping[str, str], properties: Mapping[str, str]) -> AlertMessage:
    """Returns what a person is told about a unit that has failed."""
    next_step, start = "nothing; systemd has given it up", "ibkr-gateway"
    if ".timer" in properties.get("TriggeredBy", ""):
        next_step, start = "it is tried again when its timer elapses", unit.removesuffix(".service")
    elif dependents := properties.get("RequiredBy"):
        next_step = f"nothing; without it there is no {dependents}"
    end = describe_unit_end(environ, "MONITOR_")
    return AlertMessage(
        topic=alert_outbox.unit_topic(unit),
        at=utc_now(),
        what=f"{unit} {end}",
        next=next_step,
        todo=f"journalctl -u {unit} -n 20 says why; then systemctl start {start}",
    )


def is_reported(unit: str) -> bool:
    """Says whether a person is told why a unit has failed by somebody who knows: nobody needs two messages."""
    status = StatusFile(find_directories().status_file).read_or_empty()
    sections: dict[str, FetchSection | FlexSection | None] = {
        "ibkr-fetch.service": status.fetch,
        "ibkr-flex.service": status.flex,
    }
    section = sections.get(unit)
    if section is None or section.state == "succeeded" or section.topic is None:
        return False
    # A fetch of statements that has not come so far has said nothing.
    return not isinstance(section, FlexSection) or section.age_s(utc_now()) < RECENT_S


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
    elif is_reported(unit):
        logger.info("{} has failed for a reason that is told", unit)
        return 0
    elif is_given_up(properties := unit_properties(unit_of(unit, current_instance()))):
        message = failure_message(unit, os.environ, properties)
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
