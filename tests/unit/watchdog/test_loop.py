"""The watchdog's event loop in virtual time: two hours pass in a moment."""

import heapq
import itertools
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from ibkr_tools import alert_outbox, pause_file
from ibkr_tools.config.schema import Config, SessionConfig
from ibkr_tools.directories import Directories
from ibkr_tools.errors import IbkrError, SessionUnavailable, UpstreamUnavailable
from ibkr_tools.pause_file import Pause
from ibkr_tools.portal.endpoints import Endpoint
from ibkr_tools.portal.push_listener import Heartbeat, PushEvent, PushListener
from ibkr_tools.portal.response_parser import Tickle
from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.status import LoginSection, SessionSection, SessionState, StatusFile
from ibkr_tools.watchdog.loop import Watchdog
from ibkr_tools.watchdog.time_source import TimeSource
from tests.support.state_machine_environment import ALIVE

if TYPE_CHECKING:
    from ibkr_tools.portal.client import PortalClient

BEGUN = datetime(2026, 6, 1, tzinfo=UTC)


class VirtualTime:
    """A clock that moves only while somebody waits for events; `at` makes things happen on the way."""

    def __init__(self, begun: datetime = BEGUN) -> None:
        self._begun = begun
        self.now_s = 1000.0
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._items: list[Any] = []

    def now(self) -> datetime:
        return self._begun + timedelta(seconds=self.now_s - 1000.0)

    def at(self, seconds: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._planned, (1000.0 + seconds, next(self._number), callback))

    def put(self, item: Any) -> None:
        self._items.append(item)

    def get(self, *, timeout: float) -> Any:
        end_s = self.now_s + max(timeout, 0.001)
        while not self._items:
            if not self._planned or self._planned[0][0] > end_s:
                self.now_s = end_s
                raise Empty
            at_s, _, callback = heapq.heappop(self._planned)
            self.now_s = max(self.now_s, at_s)
            callback()
        return self._items.pop(0)


class Gateway:
    """A client of a gateway that says what `brokerage` says, or fails with `trouble`."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.brokerage = ALIVE
        self.trouble: IbkrError | None = None
        self.penalty_s = 0.0
        self.room_left: list[float] = []
        self.tickled: list[float] = []
        self.asked: list[tuple[float, str, object]] = []

    def tickle(self) -> Tickle:
        self.tickled.append(self.time.now_s)
        if self.trouble is not None:
            raise self.trouble
        return self.brokerage

    def reserve_headroom(self) -> None:
        self.room_left.append(self.time.now_s - 1000.0)

    def validate(self) -> bool:
        return False

    def accounts(self) -> list[dict[str, str]]:
        return [{"id": "U1234567"}]

    def request(self, endpoint: Endpoint, *, body: object = None) -> object:
        self.asked.append((self.time.now_s - 1000.0, endpoint.name, body))
        return {"fail": "Force compete capability must be used together with compete flag"}


class Heart:
    """A connection that beats, every 10 s, as long as it is listened to."""

    def __init__(self, time: VirtualTime, deliver: Callable[[PushEvent], None]) -> None:
        self._time = time
        self._deliver = deliver
        self._stopped = False

    def start(self) -> None:
        self._time.at(self._time.now_s - 1000.0 + 10.0, self._beat)

    def stop(self) -> None:
        self._stopped = True

    def _beat(self) -> None:
        if not self._stopped:
            self._deliver(Heartbeat())
            self.start()


class Stage:
    """A watchdog, its gateway, its files and its time."""

    def __init__(self, root: Path, *, begun: datetime = BEGUN, **session: Any) -> None:
        self.time = VirtualTime(begun)
        self.gateway = Gateway(self.time)
        self.places = Directories(configuration=root, runtime=root / "run", state=root / "state")
        self.status = StatusFile(self.places.status_file)
        self.seen: list[SessionSection] = []
        self.watchdog = Watchdog(
            cast("PortalClient", self.gateway),
            Config(username="sampleuser", account="U1234567", session=SessionConfig(**session)),
            self.places,
            self.status,
            SystemdNotifier({}),
            make_listener=lambda deliver: cast("PushListener", Heart(self.time, deliver)),
            time_source=TimeSource(lambda: self.time.now_s, self.time.now, self.time),
        )

    def look(self) -> None:
        section = self.status.read_section(SessionSection)
        assert section
        self.seen.append(section)

    def run(self, seconds: float, *looks_at_s: float) -> None:
        for at_s in looks_at_s:
            self.time.at(at_s, self.look)
        self.time.at(seconds, self.watchdog.stop)
        self.watchdog.run()


@pytest.fixture
def make_stage(tmp_path: Path) -> Callable[..., Stage]:
    return lambda **more: Stage(tmp_path, **more)


Staged = Callable[..., Stage]
BROKERAGE = msgspec.structs.replace(ALIVE, authenticated=True, connected=True)
MISSING = msgspec.structs.replace(ALIVE, connected=True)
TAKEN = msgspec.structs.replace(ALIVE, connected=True, competing=True)


def test_two_hours_pass_in_a_moment(make_stage: Staged) -> None:
    """Every wait, every deadline and every moment in the status is the virtual clock's."""
    stage = make_stage()
    section = LoginSection(updated_at=BEGUN, state="not-needed", why="is up")
    stage.time.at(100, lambda: stage.status.write(section))
    stage.run(7_200, 3_600)
    assert [section.state for section in stage.seen] == [SessionState.UP]
    assert stage.seen[0].up_since == BEGUN
    assert timedelta() <= BEGUN + timedelta(hours=1) - stage.seen[0].updated_at <= timedelta(seconds=10)
    gaps = [later - earlier for earlier, later in itertools.pairwise(stage.gateway.tickled)]
    assert 7_200 - (stage.time.now_s - 1000.0) < 1
    assert max(gaps) < 60
    assert len(gaps) > 7_200 / 60


class Flood(VirtualTime):
    """Time in which stage of the files changes for ever, faster than anybody can look."""

    storm: Callable[[], None]

    def get(self, *, timeout: float) -> Any:
        self.now_s += 0.05
        while self._planned and self._planned[0][0] <= self.now_s:
            heapq.heappop(self._planned)[2]()
        self.storm()
        assert len(self._items) < 10
        return self._items.pop(0)


def test_a_flood_of_hints_holds_up_nothing_and_piles_up_nowhere(make_stage: Staged) -> None:
    """Members of the group may replace their hint as fast as they can: tickles go on, and nothing else is asked."""
    stage = make_stage()
    stage.time.__class__ = Flood
    hint = stage.places.session_hint

    def storm() -> None:
        for _ in range(20):
            stage.watchdog._file_changed(hint)

    stage.time.__dict__["storm"] = storm
    stage.run(200)
    gaps = [later - earlier for earlier, later in itertools.pairwise(stage.gateway.tickled)]
    assert len(gaps) >= 6
    assert max(gaps) < 32
    assert len(gaps) < 12


def test_a_penalty_is_published_within_a_heartbeat_and_goes(make_stage: Staged) -> None:
    """Whoever met the 429: the watchdog reads the budget that all share."""
    stage = make_stage()
    stage.time.at(100, lambda: setattr(stage.gateway, "penalty_s", 900.0))
    stage.time.at(1000, lambda: setattr(stage.gateway, "penalty_s", 0.0))
    stage.run(1100, 99, 111, 1011)
    before, during, after = (section.limited_until for section in stage.seen)
    assert before is None
    assert during is not None
    assert during - stage.seen[1].updated_at == timedelta(seconds=900)
    assert after is None


def test_a_window_opens_calms_and_closes(make_stage: Staged) -> None:
    """New York's midnight is at 04:00 UTC in June; the servers are away around it."""
    stage = make_stage(begun=BEGUN + timedelta(hours=3.5))

    def fail() -> None:
        stage.gateway.trouble = UpstreamUnavailable("IBKR answers HTTP 503")

    def work() -> None:
        stage.gateway.trouble = None

    stage.time.at(0.46 * 3600, fail)
    stage.time.at(2.5 * 3600, work)
    stage.run(2.6 * 3600, 0.25 * 3600, 0.5 * 3600, 1.5 * 3600, 2.4 * 3600, 2.55 * 3600)
    states = [(section.state, section.window) for section in stage.seen]
    assert states == [
        (SessionState.UP, None),
        (SessionState.MAINTENANCE, "IBKR's daily reset"),
        (SessionState.MAINTENANCE, "IBKR's daily maintenance"),
        (SessionState.UNREACHABLE, None),
        (SessionState.UP, None),
    ]
    assert "IBKR's daily reset" in stage.seen[1].why
    assert not stage.places.login_request.exists()


def test_yielding_asks_after_the_quiet_span_and_competes_with_nobody(make_stage: Staged) -> None:
    stage = make_stage(tier="brokerage", competing_quiet_min=20)
    stage.gateway.brokerage = BROKERAGE
    stage.time.at(100, lambda: setattr(stage.gateway, "brokerage", TAKEN))
    stage.run(4000, 200)
    assert stage.seen[0].state is SessionState.COMPETING
    assert stage.seen[0].next_at
    assert [(name, body) for _, name, body in stage.gateway.asked] == [
        ("ssodh_init", {"publish": True, "compete": False})
    ] * 3
    at = [when for when, _, _ in stage.gateway.asked]
    assert all(1190 <= later - earlier <= 1260 for earlier, later in itertools.pairwise([100.0, *at]))


def test_taking_competes_and_gives_up_with_a_message(make_stage: Staged) -> None:
    """Whoever takes it back each time, within ten minutes, has it in the end; and the person is told."""
    stage = make_stage(tier="brokerage", competing="take")
    stage.gateway.brokerage = BROKERAGE
    stage.time.at(100, lambda: setattr(stage.gateway, "brokerage", TAKEN))
    stage.run(1000)
    assert [(name, body) for _, name, body in stage.gateway.asked] == [
        ("ssodh_init", {"publish": True, "compete": True})
    ] * 3
    found = [alert_outbox.read(path) for path in alert_outbox.pending(stage.places.outbox)]
    (message,) = (
        message for message in found if message is not None and message.topic == "brokerage" and not message.over
    )
    assert message.todo


def test_the_escalation_asks_for_a_fresh_login_in_so_many_words(make_stage: Staged) -> None:
    """And says the error of the last attempt."""
    stage = make_stage(tier="brokerage")
    stage.gateway.brokerage = MISSING
    stage.run(1500, 600)
    assert stage.places.login_request.read_bytes() == b"fresh"
    assert stage.seen[0].state is SessionState.DEGRADED
    assert "Force compete" in stage.seen[0].why
    assert {name for _, name, _ in stage.gateway.asked} == {"reauthenticate", "ssodh_init"}


def test_a_pause_ends_in_the_moment_it_said(make_stage: Staged) -> None:
    """Without anybody watching the file, within one heartbeat; its end to the second."""
    stage = make_stage()
    until = BEGUN + timedelta(seconds=777)
    stage.gateway.trouble = SessionUnavailable("no session")
    stage.time.at(33, stage.places.login_request.unlink)
    stage.time.at(34, lambda: pause_file.begin(stage.places.pause_file, Pause(since=BEGUN, until=until)))
    stage.time.at(
        60, lambda: stage.status.write(LoginSection(updated_at=stage.time.now(), state="failed", why="paused"))
    )
    stage.run(779, 600, 776.5, 778)
    assert [section.state for section in stage.seen] == [
        SessionState.PAUSED,
        SessionState.PAUSED,
        SessionState.LOGGING_IN,
    ]
    assert stage.seen[0].next_at == until
    assert stage.places.login_request.exists()


def test_an_outage_is_told_after_an_hour(make_stage: Staged) -> None:
    stage = make_stage()
    stage.time.at(100, lambda: setattr(stage.gateway, "trouble", UpstreamUnavailable("IBKR answers HTTP 503")))
    stage.time.at(3000, lambda: stage.time.at(3001, lambda: check_outbox(stage, expected=set())))
    stage.time.at(3900, lambda: check_outbox(stage, expected={"outage"}))
    stage.time.at(4000, lambda: setattr(stage.gateway, "trouble", None))
    stage.run(4100)
    check_outbox(stage, expected=set())


def test_a_login_that_could_not_say_how_it_ended_is_not_waited_for(make_stage: Staged) -> None:
    """Nobody can write for half a minute, neither the login nor what systemd runs after it; then the next one comes."""
    stage = make_stage()
    stage.gateway.trouble = SessionUnavailable("no session")
    stage.time.at(20, lambda: fill(stage))
    stage.time.at(21, stage.places.login_request.unlink)
    stage.time.at(47, lambda: make_room(stage))
    stage.run(75, 5, 58, 74)
    assert [section.state for section in stage.seen] == [
        SessionState.LOGGING_IN,
        SessionState.BACKING_OFF,
        SessionState.LOGGING_IN,
    ]
    assert stage.seen[1].why == "the login could not say how it ended"
    assert stage.places.login_request.exists()


def test_a_login_that_is_gone_without_a_word_is_not_waited_for(make_stage: Staged) -> None:
    """It was killed, and so was what systemd runs after it; once, however long its last word stands there."""
    stage = make_stage()
    stage.gateway.trouble = SessionUnavailable("no session")
    section = LoginSection(updated_at=BEGUN, state="running", why="is under way", fresh_for_s=180, pid=gone())
    stage.time.at(10, lambda: stage.status.write(section))
    stage.time.at(11, stage.places.login_request.unlink)
    # The next one has taken the request, and has said nothing yet.
    stage.time.at(50, stage.places.login_request.unlink)
    stage.run(100, 5, 12, 35, 48, 99)
    assert [section.state for section in stage.seen] == [
        SessionState.LOGGING_IN,
        SessionState.LOGGING_IN,
        SessionState.BACKING_OFF,
        SessionState.LOGGING_IN,
        SessionState.LOGGING_IN,
    ]
    assert stage.seen[2].why == "the login could not say how it ended"


@pytest.mark.parametrize("life", ["asked for", "under way"])
def test_a_login_that_may_still_speak_is_waited_for(make_stage: Staged, life: str) -> None:
    """A request that nobody has taken yet, or a process that lives, ends in a word of its own."""
    stage = make_stage()
    stage.gateway.trouble = SessionUnavailable("no session")
    if life == "under way":
        section = LoginSection(updated_at=BEGUN, state="running", why="is under way", fresh_for_s=180, pid=os.getpid())
        stage.time.at(10, lambda: stage.status.write(section))
        stage.time.at(11, stage.places.login_request.unlink)
    stage.time.at(20, lambda: fill(stage))
    stage.time.at(50, lambda: make_room(stage))
    stage.run(120, 70, 119)
    assert {section.state for section in stage.seen} == {SessionState.LOGGING_IN}


def fill(stage: Stage) -> None:
    """Leaves no room for the status file."""
    lock = stage.places.status_file.with_suffix(".lock")
    lock.unlink()
    lock.mkdir()


def make_room(stage: Stage) -> None:
    """Ends that."""
    stage.places.status_file.with_suffix(".lock").rmdir()


def gone() -> int:
    """Returns a number that no process has."""
    numbers = range(int(Path("/proc/sys/kernel/pid_max").read_text()) - 1, 1, -1)
    return next(pid for pid in numbers if not Path(f"/proc/{pid}").exists())


def check_outbox(stage: Stage, expected: set[str]) -> None:
    """Holds the topics that are open, after all that was published, against those expected."""
    found: dict[str, bool] = {}
    for path in alert_outbox.pending(stage.places.outbox):
        message = alert_outbox.read(path)
        assert message is not None
        found[message.topic] = not message.over
    assert {topic for topic, is_open in found.items() if is_open} == expected
