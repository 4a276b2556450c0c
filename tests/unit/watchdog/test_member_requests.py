"""A member of the group has the watchdog begin and end a pause, and ask for a snapshot; nothing else, and not often."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ibkr_tools import pause_file, pause_request, shared_request
from ibkr_tools.directories import Directories
from ibkr_tools.pause_request import PauseRequest
from ibkr_tools.shared_request import MIN_FETCH_INTERVAL_S, MIN_TAKE_INTERVAL_S
from ibkr_tools.status import StatusFile
from ibkr_tools.watchdog.alert_publisher import AlertPublisher
from ibkr_tools.watchdog.events import PauseEnded, PauseStarted
from ibkr_tools.watchdog.inputs import ExternalInputs
from tests.support.hostile_files import HOSTILE_FILES, place_hostile_file

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

    def ask_for_snapshot(self) -> bool:
        """Leaves a request for a snapshot; says whether the watchdog asks the unit for one, which takes that away."""
        shared_request.leave(self.directories.fetch_request)
        return self.see(self.directories.fetch_request)

    def see(self, path: Path) -> bool:
        """Has the watchdog see a file of members; says whether it asks for a snapshot."""
        self.directories.runtime.mkdir(exist_ok=True)
        assert self.inputs.read_changed(path) == []
        asked = self.directories.snapshot_request
        if not asked.exists():
            return False
        assert (asked.stat().st_mode & 0o777, asked.read_bytes()) == (0o600, b"")
        asked.unlink()
        return True

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
    watching.now_s += MIN_TAKE_INTERVAL_S
    assert watching.ask(paused=False) == [PauseEnded()]
    assert not watching.is_paused()


def test_one_that_is_over_already_pauses_nothing(watching: Watching) -> None:
    assert watching.ask(paused=True, until=NOW - timedelta(hours=1)) == []
    assert not watching.is_paused()


def test_a_storm_is_one_request_at_a_time_and_the_last_one_counts(watching: Watching) -> None:
    """What comes too early waits for the next look."""
    events = [event for number in range(100) for event in watching.ask(paused=number % 2 == 0)]
    assert events == [PauseStarted(None)]
    watching.now_s += MIN_TAKE_INTERVAL_S
    assert PauseEnded() in watching.inputs.poll()
    assert not watching.is_paused()


def test_what_is_no_request_changes_nothing(watching: Watching) -> None:
    watching.directories.pause_request.write_text('{"paused": "/etc/shadow"}')
    assert watching.inputs.read_changed(watching.directories.pause_request) == []
    assert not watching.is_paused()
    assert not watching.directories.pause_request.exists()


def test_a_snapshot_is_asked_for(watching: Watching) -> None:
    """Of the unit, by an empty file where only the units may write; no pause comes of it."""
    assert watching.ask_for_snapshot()
    assert not watching.directories.fetch_request.exists()
    assert not watching.is_paused()


def test_a_storm_is_one_snapshot_a_minute_and_none_is_lost(watching: Watching) -> None:
    """What comes too early waits for its time, whatever becomes of pauses meanwhile."""
    assert [watching.ask_for_snapshot() for _ in range(100)].count(True) == 1
    assert watching.ask(paused=True) == [PauseStarted(None)]
    watching.now_s += MIN_FETCH_INTERVAL_S - 0.1
    assert watching.inputs.poll() == []
    assert watching.directories.fetch_request.exists()
    assert not watching.directories.snapshot_request.exists()
    watching.now_s += 0.2
    assert watching.see(watching.directories.fetch_request)
    assert not watching.directories.fetch_request.exists()


@pytest.mark.parametrize("kind", ["content", "large", *HOSTILE_FILES])
def test_what_is_no_request_asks_for_nothing_and_holds_nobody_up(watching: Watching, tmp_path: Path, kind: str) -> None:
    """It is gone, what it leads to is as it was, and the next one is taken a second later."""
    path, other = watching.directories.fetch_request, tmp_path / "other"
    other.touch(0o600)
    match kind:
        case "content":
            path.write_text("--account U1234567")
        case "large":
            path.write_bytes(bytes(4_000_000))
        case _:
            place_hostile_file(kind, path, other)
    assert not watching.see(path)
    assert not os.path.lexists(path)
    assert (other.stat().st_size, other.stat().st_mode & 0o777, other.stat().st_nlink) == (0, 0o600, 1)
    assert not watching.ask_for_snapshot()
    watching.now_s += MIN_TAKE_INTERVAL_S
    assert watching.see(path)


def test_what_cannot_be_asked_for_ends_nothing(watching: Watching) -> None:
    """The place of the units' request is full, or gone."""
    shared_request.leave(watching.directories.fetch_request)
    assert watching.inputs.read_changed(watching.directories.fetch_request) == []
    watching.now_s += MIN_TAKE_INTERVAL_S
    assert watching.ask_for_snapshot()
