"""What happened in a month, taken down by somebody who sees both sides: IBKR's servers and the status file."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ibkr_tools.simulator.simulated_sessions import Brokerage, SessionEvent, World
from ibkr_tools.status import Section, SessionSection, SessionState, StatusFile


@dataclass
class Gap:
    """A time in which nobody would have been served; seconds of the virtual clock.

    `cause` is how the session was lost; `noticed_s` is when the status file first said so, `end_s` when a request
    would have been served again. `outage` names the planned one that it touches.
    """

    cause: str
    begin_s: float
    noticed_s: float | None = None
    end_s: float | None = None
    outage: str = ""

    def length_s(self, now_s: float) -> float:
        """Returns how long it was, or has been so far."""
        return (now_s if self.end_s is None else self.end_s) - self.begin_s


@dataclass(frozen=True)
class Outage:
    """A planned one; seconds of the virtual clock."""

    name: str
    begin_s: float
    end_s: float


class WitnessedStatus(StatusFile):
    """The status file; whoever writes the watchdog's section is heard."""

    heard: Callable[[SessionSection], None]
    writes = 0

    def write(self, section: Section) -> None:
        """Writes, and tells."""
        super().write(section)
        if isinstance(section, SessionSection):
            self.writes += 1
            self.heard(section)


@dataclass
class Witness:
    """Looks at the servers whenever something changes there, and listens to the status file."""

    world: World
    clock: Callable[[], float]
    wants_brokerage: bool
    outages: Sequence[Outage] = ()
    gaps: list[Gap] = field(default_factory=list)
    longest_tickle_pause_s: float = 0.0
    states: dict[str, float] = field(default_factory=dict)
    cause: str = "expired"
    _state: SessionSection | None = None
    _state_s: float = 0.0
    _tickled_s: float | None = None
    _session: object = None

    def begin(self) -> None:
        """Starts listening; there is no session yet."""
        self.world.listeners.append(self._on_event)
        self._state_s = self.clock()
        self.gaps.append(Gap("start", self.clock()))

    def is_served(self) -> bool:
        """Says whether a user of the wanted tier would be served now."""
        session = self.world.current
        if session is None or self.world.schedule.at(self.world.now()) is not None:
            return False
        return not self.wants_brokerage or session.brokerage is Brokerage.UP

    def look(self) -> None:
        """Takes down whether service began or ended; to be called at the edges of windows too."""
        open_gap = self.gaps[-1] if self.gaps and self.gaps[-1].end_s is None else None
        if self.is_served():
            if open_gap is not None:
                open_gap.end_s = self.clock()
        elif open_gap is None:
            self.gaps.append(Gap(self.cause, self.clock(), outage=self._outage_now()))
        elif not open_gap.outage:
            open_gap.outage = self._outage_now()

    def _outage_now(self) -> str:
        now_s = self.clock()
        return next((one.name for one in self.outages if one.begin_s <= now_s < one.end_s), "")

    def on_status(self, section: SessionSection) -> None:
        """Hears what the watchdog says."""
        now_s = self.clock()
        if self._state is not None:
            name = self._state.state.value
            self.states[name] = self.states.get(name, 0.0) + now_s - self._state_s
        self._state, self._state_s = section, now_s
        gap = self.gaps[-1]
        if gap.end_s is None and gap.noticed_s is None and section.state is not SessionState.UP:
            gap.noticed_s = now_s

    def on_answer(self, path: str, status: int) -> None:
        """Hears of every answer that IBKR gave."""
        if not path.endswith("/tickle") or status != 200:
            return
        now_s, session = self.clock(), self.world.current
        if self._tickled_s is not None and self._session is session:
            self.longest_tickle_pause_s = max(self.longest_tickle_pause_s, now_s - self._tickled_s)
        self._tickled_s, self._session = now_s, session

    def _on_event(self, event: SessionEvent) -> None:
        del event
        self.look()

    def outside(self) -> Iterator[Gap]:
        """Yields the gaps that no planned outage explains; the start of everything is none."""
        return (gap for gap in self.gaps if not gap.outage and gap.cause != "start")

    def unserved_s(self, now_s: float, *, outside: bool) -> float:
        """Returns for how many seconds nobody was served; `outside`: without those within planned outages."""
        total = 0.0
        for gap in self.gaps:
            if gap.cause == "start":
                continue
            begin_s, end_s = gap.begin_s, gap.begin_s + gap.length_s(now_s)
            total += end_s - begin_s
            if outside:
                total -= sum(max(0.0, min(end_s, one.end_s) - max(begin_s, one.begin_s)) for one in self.outages)
        return total
