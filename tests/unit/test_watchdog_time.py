"""The watchdog's loop under a clock of the test's own: half a day passes in a moment."""

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any, cast

from ibkr_tools.config import NotifyConfig, SessionConfig
from ibkr_tools.directories import Directories
from ibkr_tools.log import Journal
from ibkr_tools.notify import Notifier
from ibkr_tools.portal.answers import Tickle
from ibkr_tools.portal.push import PushEvent, PushListener
from ibkr_tools.status import LoginSection, SessionSection, SessionState, StatusFile
from ibkr_tools.watchdog.loop import Watchdog
from tests.support.machine_world import ALIVE

if TYPE_CHECKING:
    from ibkr_tools.portal.client import PortalClient

BEGUN = datetime(2026, 6, 1, tzinfo=UTC)


class VirtualTime:
    """A clock that moves only while somebody waits for events; `at` makes things happen on the way."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._items: list[Any] = []

    def now(self) -> datetime:
        return BEGUN + timedelta(seconds=self.now_s - 1000.0)

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._planned, (1000.0 + seconds, next(self._number), act))

    def put(self, item: Any) -> None:
        self._items.append(item)

    def get(self, *, timeout: float) -> Any:
        end_s = self.now_s + max(timeout, 0.001)
        while not self._items:
            if not self._planned or self._planned[0][0] > end_s:
                self.now_s = end_s
                raise Empty
            at_s, _, act = heapq.heappop(self._planned)
            self.now_s = max(self.now_s, at_s)
            act()
        return self._items.pop(0)


class Gateway:
    """A client whose session is always there."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.tickled: list[float] = []

    def tickle(self) -> Tickle:
        self.tickled.append(self.time.now_s)
        return ALIVE

    def accounts(self) -> list[dict[str, str]]:
        return [{"id": "U1234567"}]


class Silence:
    """A connection that never says anything."""

    def start(self) -> None:
        return

    def stop(self) -> None:
        return


def silent_listener(deliver: Callable[[PushEvent], None]) -> PushListener:
    return cast("PushListener", Silence())


def test_half_a_day_passes_in_a_moment(tmp_path: Path) -> None:
    """Every wait, every deadline and every moment in the status is the virtual clock's."""
    time = VirtualTime()
    gateway = Gateway(time)
    places = Directories(configuration=tmp_path, runtime=tmp_path / "run", state=tmp_path / "state")
    status = StatusFile(places.status_file)
    dog = Watchdog(
        cast("PortalClient", gateway),
        status,
        places,
        Notifier({}),
        Journal(),
        session=SessionConfig(),
        notify=NotifyConfig(),
        user="sampleuser",
        listener=silent_listener,
        clock=lambda: time.now_s,
        now=time.now,
        events=time,
        watch=False,
    )
    seen: list[SessionSection] = []

    def look() -> None:
        section = status.read_section(SessionSection)
        assert section
        seen.append(section)

    time.at(100, lambda: status.write(LoginSection(updated_at=time.now(), state="not-needed", why="is up")))
    time.at(21_600, look)
    time.at(43_200, dog.stop)
    dog.run()
    assert [section.state for section in seen] == [SessionState.UP]
    assert seen[0].up_since == BEGUN
    assert timedelta() <= BEGUN + timedelta(hours=6) - seen[0].updated_at <= timedelta(seconds=10)
    gaps = [later - earlier for earlier, later in itertools.pairwise(gateway.tickled)]
    assert 43_200 - (time.now_s - 1000.0) < 1
    assert max(gaps) < 60
    assert len(gaps) > 43_200 / 60
