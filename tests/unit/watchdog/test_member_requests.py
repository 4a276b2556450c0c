"""A member of the group has the watchdog begin and end a pause; nothing else, and not without an end."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ibkr_tools import pause_file, pause_request
from ibkr_tools.directories import Directories
from ibkr_tools.pause_request import PauseRequest
from ibkr_tools.status import StatusFile
from ibkr_tools.watchdog.alert_publisher import AlertPublisher
from ibkr_tools.watchdog.events import PauseEnded, PauseStarted
from ibkr_tools.watchdog.inputs import MIN_REQUEST_INTERVAL_S, ExternalInputs

NOW = datetime(2026, 11, 28, tzinfo=UTC)


class Watching:
    """What the watchdog sees, in time that is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.directories = Directories(configuration=folder / "etc", runtime=folder / "run", state=folder / "state")
        self.directories.shared.mkdir(parents=True)
        self.now_s = 5.0
        publisher = AlertPublisher(self.directories.outbox, user="reader", outage_s=60.0, now=lambda: NOW)
        status = StatusFile(self.directories.status_file)
        self.inputs = ExternalInputs(
            status, self.directories, publisher, region="america", now=lambda: NOW, clock=lambda: self.now_s
        )

    def ask(self, *, paused: bool, until: datetime | None = None) -> list[object]:
        """Leaves a request; returns what the watchdog makes of it."""
        pause_request.leave(self.directories.pause_request, PauseRequest(paused=paused, until=until))
        return list(self.inputs.read_changed(self.directories.pause_request))

    def is_paused(self) -> bool:
        """Says whether whoever logs in is told not to."""
        return pause_file.read(self.directories.pause_file, NOW) is not None


@pytest.fixture
def watching(tmp_path: Path) -> Watching:
    return Watching(tmp_path)


def test_a_pause_begins_and_ends(watching: Watching) -> None:
    until = NOW + timedelta(hours=1)
    assert watching.ask(paused=True, until=until) == [PauseStarted(until)]
    assert watching.is_paused()
    watching.now_s += MIN_REQUEST_INTERVAL_S
    assert watching.ask(paused=False) == [PauseEnded()]
    assert not watching.is_paused()


def test_one_that_is_over_already_pauses_nothing(watching: Watching) -> None:
    assert watching.ask(paused=True, until=NOW - timedelta(hours=1)) == []
    assert not watching.is_paused()


def test_a_storm_is_one_request_at_a_time_and_the_last_one_counts(watching: Watching) -> None:
    """What comes too early waits for the next look."""
    events = [event for number in range(100) for event in watching.ask(paused=number % 2 == 0)]
    assert events == [PauseStarted(None)]
    watching.now_s += MIN_REQUEST_INTERVAL_S
    assert PauseEnded() in watching.inputs.poll()
    assert not watching.is_paused()


def test_what_is_no_request_changes_nothing(watching: Watching) -> None:
    watching.directories.pause_request.write_text('{"paused": "/etc/shadow"}')
    assert watching.inputs.read_changed(watching.directories.pause_request) == []
    assert not watching.is_paused()
    assert not watching.directories.pause_request.exists()
