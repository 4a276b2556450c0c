"""A hint of a member of the group has the watchdog look, and not more often than IBKR may be asked."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ibkr_tools import session_hint
from ibkr_tools.directories import Directories
from ibkr_tools.status import StatusFile
from ibkr_tools.watchdog.alert_publisher import AlertPublisher
from ibkr_tools.watchdog.events import FetchHinted
from ibkr_tools.watchdog.inputs import MIN_HINT_INTERVAL_S, ExternalInputs


def inputs(directories: Directories, now: Callable[[], datetime], clock: Callable[[], float]) -> ExternalInputs:
    """Returns what a watchdog that starts now reads of other processes."""
    publisher = AlertPublisher(directories.outbox, user="reader", outage_s=60.0, now=now)
    status = StatusFile(directories.status_file)
    return ExternalInputs(status, directories, publisher, region="america", now=now, clock=clock)


class Watching:
    """What the watchdog sees, in time that is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.directories = Directories(configuration=folder / "etc", runtime=folder / "run", state=folder / "state")
        self.directories.shared.mkdir(parents=True)
        self.now = datetime(2026, 11, 28, tzinfo=UTC)
        self.now_s = 5.0
        self.inputs = inputs(self.directories, lambda: self.now, lambda: self.now_s)
        self._left = 0

    def leave(self) -> None:
        """Leaves a hint that is newer than the last one, however fast we are."""
        session_hint.touch(self.directories.session_hint)
        self._left += 1
        os.utime(self.directories.session_hint, ns=(self._left, self._left))

    def looks(self) -> bool:
        """Says whether the watchdog looks now."""
        return self.inputs.read_changed(self.directories.session_hint) == [FetchHinted()]


@pytest.fixture
def watching(tmp_path: Path) -> Watching:
    return Watching(tmp_path)


def test_each_hint_counts_once(watching: Watching) -> None:
    assert not watching.looks()
    watching.leave()
    assert watching.looks()
    assert not watching.looks()
    watching.now_s += MIN_HINT_INTERVAL_S
    assert FetchHinted() not in watching.inputs.poll()
    watching.leave()
    assert FetchHinted() in watching.inputs.poll()


def test_a_storm_of_hints_is_one_look_at_a_time(watching: Watching) -> None:
    looks = 0
    for _ in range(600):
        watching.leave()
        looks += watching.looks()
        watching.now_s += 0.1
    assert looks == 60 / MIN_HINT_INTERVAL_S


@pytest.mark.parametrize("days", [-400, 400])
def test_a_clock_that_is_set_keeps_no_hint_from_counting_and_lets_no_more_through(
    watching: Watching, days: int
) -> None:
    watching.leave()
    assert watching.looks()
    watching.now += timedelta(days=days)
    watching.leave()
    assert not watching.looks()
    watching.now_s += MIN_HINT_INTERVAL_S
    watching.leave()
    assert watching.looks()


def test_a_hint_of_a_former_life_is_no_news(tmp_path: Path) -> None:
    Watching(tmp_path / "first").leave()
    (tmp_path / "first").rename(tmp_path / "second")
    directories = Directories(configuration=tmp_path, runtime=tmp_path / "second/run", state=tmp_path)
    assert inputs(directories, lambda: datetime.now(UTC), time.monotonic).read_hint() == []


@pytest.mark.parametrize("kind", ["directory", "fifo", "dangling link"])
def test_whatever_stands_there_is_not_opened(watching: Watching, kind: str) -> None:
    path = watching.directories.session_hint
    match kind:
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case _:
            path.symlink_to("/nowhere/at/all")
    assert watching.looks()
    assert not watching.looks()
