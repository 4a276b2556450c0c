"""A hint of a member of the group has the watchdog look, and not more often than IBKR may be asked."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ibkr_tools import hints
from ibkr_tools.directories import Directories
from ibkr_tools.log import Journal
from ibkr_tools.status import StatusFile
from ibkr_tools.watchdog.desk import Desk
from ibkr_tools.watchdog.observations import FetchHinted
from ibkr_tools.watchdog.others import HINTS_APART, Others


def others(directories: Directories, now: Callable[[], datetime]) -> Others:
    """Returns what a watchdog that starts now reads of other processes."""
    desk = Desk(directories.outbox, Journal(), user="reader", outage_s=60.0, now=now)
    return Others(StatusFile(directories.status_file), directories, desk, Journal(), region="america", now=now)


class Watching:
    """What the watchdog sees, in time that is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.directories = Directories(configuration=folder / "etc", runtime=folder / "run", state=folder / "state")
        self.directories.shared.mkdir(parents=True)
        self.now = datetime(2026, 11, 28, tzinfo=UTC)
        self.others = others(self.directories, lambda: self.now)
        self._left = 0

    def leave(self) -> None:
        """Leaves a hint that is newer than the last one, however fast we are."""
        hints.leave(self.directories.session_hint)
        self._left += 1
        os.utime(self.directories.session_hint, ns=(self._left, self._left))

    def looks(self) -> bool:
        """Says whether the watchdog looks now."""
        return self.others.changed(self.directories.session_hint) == [FetchHinted()]


@pytest.fixture
def watching(tmp_path: Path) -> Watching:
    return Watching(tmp_path)


def test_each_hint_counts_once(watching: Watching) -> None:
    assert not watching.looks()
    watching.leave()
    assert watching.looks()
    assert not watching.looks()
    watching.now += HINTS_APART
    assert FetchHinted() not in watching.others.everything()
    watching.leave()
    assert FetchHinted() in watching.others.everything()


def test_a_storm_of_hints_is_one_look_at_a_time(watching: Watching) -> None:
    looks = 0
    for _ in range(600):
        watching.leave()
        looks += watching.looks()
        watching.now += timedelta(seconds=0.1)
    assert looks == 60 / HINTS_APART.total_seconds()


def test_a_hint_of_a_former_life_is_no_news(tmp_path: Path) -> None:
    Watching(tmp_path / "first").leave()
    (tmp_path / "first").rename(tmp_path / "second")
    directories = Directories(configuration=tmp_path, runtime=tmp_path / "second/run", state=tmp_path)
    assert others(directories, lambda: datetime.now(UTC)).hint() == []


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
