"""The watchdog's loop: turns calls, pushes and files into observations, and does what the machine wants."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from ibkr_tools import files
from ibkr_tools.config import NotifyConfig, SessionConfig
from ibkr_tools.directories import Directories
from ibkr_tools.errors import GatewayUnavailable, IbkrError, RateLimited, SessionUnavailable, UpstreamSilent
from ibkr_tools.log import Journal
from ibkr_tools.notify import Notifier
from ibkr_tools.portal import endpoints
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.push_listener import PushClosed, PushEvent, PushListener
from ibkr_tools.status import StatusFile, utc_now
from ibkr_tools.watchdog import machine, publish, watch
from ibkr_tools.watchdog.brokerage import Policy
from ibkr_tools.watchdog.desk import Desk
from ibkr_tools.watchdog.hearing import Hearing
from ibkr_tools.watchdog.observations import (
    Action,
    BrokerageAsked,
    GatewayStarting,
    Listed,
    LoginUnheard,
    Observation,
    Tick,
    Tickled,
    Validated,
    Verdict,
)
from ibkr_tools.watchdog.others import Others
from ibkr_tools.watchdog.state import State

_UNHEARD = Hearing()
BEAT_S = 10.0
"""How often the status is renewed and systemd is told that we are useful."""


@dataclass(frozen=True)
class _FileChanged:
    """Somebody wrote the status file or the pause, or removed it."""

    path: Path


@dataclass(frozen=True)
class _Pushed:
    """What one of our connections delivered; one that we ended has no say any more."""

    connection: int
    event: PushEvent


@dataclass(frozen=True)
class _Writable:
    """The status file can be written again; what others had to say meanwhile is lost."""


@dataclass(frozen=True)
class _Stop:
    """End the loop."""


def verdict_of(error: IbkrError) -> Verdict:
    """Returns what an error of the client says about the portfolio tier; only a bare SessionUnavailable is DEAD."""
    if isinstance(error, GatewayUnavailable):
        return Verdict.GATEWAY_GONE
    if isinstance(error, RateLimited):
        return Verdict.LIMITED
    if isinstance(error, UpstreamSilent):
        return Verdict.SILENT
    return Verdict.DEAD if type(error) is SessionUnavailable else Verdict.UNKNOWN


_Event = Tick | _FileChanged | _Pushed | _Writable | _Stop


class Events(Protocol):
    """Where events wait: `queue.SimpleQueue`, or what a test lets time pass in."""

    def put(self, item: Any) -> None:
        """Adds one event; called from any thread."""

    def get(self, *, timeout: float) -> Any:
        """Returns the next event.

        Raises:
            queue.Empty: none came within `timeout` seconds.
        """


class Watchdog:
    """One watchdog for one session; `run` returns when `stop` was called.

    All of its time comes from `clock` (seconds that never jump), `now` (UTC) and `events`, whose `get` is its only
    wait. Without `watch` it has no thread that watches the files of others, and reads them at each Tick alone.
    """

    def __init__(
        self,
        client: PortalClient,
        status_file: StatusFile,
        directories: Directories,
        notifier: Notifier,
        journal: Journal,
        *,
        session: SessionConfig,
        notify: NotifyConfig,
        user: str,
        listener: Callable[[Callable[[PushEvent], None]], PushListener],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
        events: Events | None = None,
        watch: bool = True,
    ) -> None:
        self._client = client
        self._status_file = status_file
        self._directories = directories
        self._notifier = notifier
        self._journal = journal
        self._session = session
        self._make_listener = listener
        self._clock = clock
        self._now = now
        self._watch = watch
        self._stopping = False
        self._changed: set[Path] = set()
        self._has_ticked = False
        self._events: Events = SimpleQueue[_Event]() if events is None else events
        wants_brokerage = session.tier == "brokerage"
        policy = Policy(take=session.competing == "take", quiet_s=session.competing_quiet_min * 60.0)
        self._state = State(
            wants_brokerage=wants_brokerage,
            policy=policy,
            since_s=clock(),
            due_s=clock(),
            without_since_s=clock(),
        )
        self._listener: PushListener | None = None
        self._connection = 0
        outage_s = notify.outage_min * 60.0
        self._desk = Desk(directories.outbox, journal, user=user, outage_s=outage_s, now=now)
        self._others = Others(
            status_file, directories, self._desk, journal, region=session.region, now=now, clock=clock
        )
        self._published_s = 0.0
        self._published: State | None = None
        self._is_writable = True

    def stop(self) -> None:
        """Ends the loop soon; safe in a signal handler."""
        self._stopping = True
        self._events.put(_Stop())

    def run(self) -> None:
        """Keeps the session until `stop`: every wait is for an event or the machine's next deadline."""
        # A request of a former life: this one decides anew.
        files.remove(self._directories.login_request)
        # What was said before this life is not news, but for a gateway that is starting just now.
        said = self._others.status()
        self._desk.unit_is_well("ibkr-watchdog.service")
        if self._watch:
            self._watch_files()
        for observation in (*self._others.pause(), *self._others.window()):
            self._feed(observation)
        self._feed(next((one for one in said if isinstance(one, GatewayStarting)), Tick()))
        self._notifier.ready()
        try:
            while not isinstance(event := self._next_event(), _Stop):
                self._take(event)
                self._publish()
                self._notifier.watchdog()
        finally:
            self._do(Action.STOP_LISTENING)
            self._write_section(fresh_for_s=0.0)

    def _next_event(self) -> _Event:
        if self._stopping:
            # What came before it may hang for many seconds more.
            return _Stop()
        now_s = self._clock()
        wait_s = min(machine.deadline(self._state), self._published_s + BEAT_S) - now_s
        wait_s = min(wait_s, self._others.pause_ends_in_s())
        if wait_s <= 0 and not self._has_ticked:
            # However many events there are: what is due is due.
            self._has_ticked = True
            return Tick()
        self._has_ticked = False
        try:
            event: _Event = self._events.get(timeout=max(0.0, wait_s))
        except Empty:
            return Tick()
        return event

    def _take(self, event: _Event) -> None:
        match event:
            case _FileChanged(path=path):
                self._changed.discard(path)
                for observation in self._others.changed(path):
                    self._feed(observation)
            case _Pushed(connection=connection, event=pushed) if connection == self._connection:
                if isinstance(pushed, PushClosed):
                    self._journal.debug(f"push closed: {pushed.why}")
                    self._listener = None
                self._feed(pushed)
            case Tick():
                # The kernel may have no watch left to give, or a file may have changed just before it gave ours.
                for observation in (*self._others.everything(), event):
                    self._feed(observation)
            case _Writable():
                for observation in self._others.everything():
                    self._feed(observation)
                if not self._others.has_login():
                    self._feed(LoginUnheard())

    def _feed(self, observation: Observation) -> None:
        """Gives the machine one observation, and then those that its actions bring about."""
        pending = deque([observation])
        while pending and not self._stopping:
            before = self._state
            self._state, actions = machine.step(before, pending.popleft(), self._clock())
            publish.log_change(self._journal, before, self._state, self._clock())
            if self._state.phase is not before.phase:
                self._publish()
            for action in actions:
                if (answer := self._do(action)) is not None:
                    pending.append(answer)
                # One call may hang for its full 10 s; several in a row must not look like a hung process.
                self._notifier.watchdog()

    def _do(self, action: Action) -> Observation | None:
        """Does one action; returns the gateway's answer, None where there is none."""
        match action:
            case Action.REQUEST_LOGIN:
                self._leave(self._directories.login_request)
            case Action.REQUEST_FRESH_LOGIN:
                self._leave(self._directories.login_request, b"fresh")
            case Action.RESTART_GATEWAY:
                self._leave(self._directories.restart_request)
            case Action.LISTEN:
                self._listen()
            case Action.STOP_LISTENING:
                self._stop_listening()
            case _:
                return self._question(action)
        return None

    def _question(self, action: Action) -> Observation:
        match action:
            case Action.VALIDATE:
                return self._validate()
            case Action.ASK_STATUS:
                return self._ask_status()
            case Action.LIST_ACCOUNTS:
                return self._list_accounts()
            case Action.REAUTHENTICATE:
                return self._ask(endpoints.REAUTHENTICATE)
            case Action.INIT_BROKERAGE | Action.TAKE_BROKERAGE:
                # IBKR takes the one flag only with the other.
                return self._ask(endpoints.SSODH_INIT, {"publish": True, "compete": action is Action.TAKE_BROKERAGE})
            case _:
                return self._tickle()

    def _tickle(self) -> Tickled:
        try:
            tickle = self._client.tickle()
        except IbkrError as error:
            self._journal.debug(f"tickle: {error.message}")
            return Tickled(verdict_of(error), error.message)
        if not tickle.has_session:
            return Tickled(Verdict.UNKNOWN, "the tickle names no session")
        self._journal.debug(f"tickled; brokerage authenticated: {tickle.authenticated}")
        return Tickled(Verdict.ALIVE, tickle=tickle)

    def _validate(self) -> Validated:
        try:
            alive = self._client.validate()
        except IbkrError as error:
            return Validated(verdict_of(error), error.message)
        return Validated(Verdict.ALIVE if alive else Verdict.DEAD, "IBKR says the session is over")

    def _ask_status(self) -> Validated:
        try:
            self._client.request(endpoints.AUTH_STATUS)
        except IbkrError as error:
            return Validated(verdict_of(error), error.message)
        return Validated(Verdict.ALIVE)

    def _list_accounts(self) -> Listed:
        try:
            rows = self._client.accounts()
        except IbkrError as error:
            return Listed(verdict_of(error), error.message)
        # Asked for once, to prove a new session; the gateway shakes hands for the other tier a moment later.
        self._client.reserve_headroom()
        return Listed(Verdict.ALIVE, accounts=tuple(str(row["id"]) for row in rows if "id" in row))

    def _listen(self) -> None:
        if self._listener is not None:
            return
        self._connection += 1
        connection = self._connection
        self._listener = self._make_listener(lambda event: self._events.put(_Pushed(connection, event)))
        self._listener.start()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
            self._connection += 1

    def _ask(self, endpoint: endpoints.Endpoint, body: object = None) -> BrokerageAsked:
        try:
            answer = self._client.request(endpoint, body=body)
        except IbkrError as error:
            self._journal.warning(f"asked for the brokerage tier: {error.message}")
            return BrokerageAsked(verdict_of(error), error.message)
        self._journal.info(f"asked for the brokerage tier: {endpoint.name}")
        if isinstance(answer, dict) and answer.get("fail"):
            return BrokerageAsked(Verdict.UNKNOWN, f"IBKR says: {str(answer['fail'])[:200]}")
        return BrokerageAsked(Verdict.ALIVE)

    def _leave(self, request: Path, content: bytes = b"") -> None:
        """Leaves a request file; who it is for is watching for it."""
        try:
            files.write_atomically(request, content, mode=0o600, durable=False)
        except OSError as error:
            self._journal.error(f"{request} cannot be written: {error.strerror}")

    def _file_changed(self, path: Path) -> None:
        """Has a file looked at, once however often it changes meanwhile: members of the group may write one."""
        if path not in self._changed:
            self._changed.add(path)
            self._events.put(_FileChanged(path))

    def _watch_files(self) -> None:
        changing = (self._status_file.path, self._directories.pause_file, self._directories.session_hint)
        try:
            watch.start(changing, self._file_changed)
        except OSError as error:
            self._journal.warning(f"changes of the status are seen every {BEAT_S:.0f} s only: {error.strerror}")

    def _publish(self) -> None:
        now_s = self._clock()
        # A heartbeat is nothing that a reader of the status could see.
        if now_s - self._published_s < BEAT_S and self._published == replace(self._state, hearing=_UNHEARD):
            return
        if self._published is None or self._published.phase is not self._state.phase:
            self._notifier.status(f"{self._state.phase.value}: {self._state.why}")
        self._published, self._published_s = replace(self._state, hearing=_UNHEARD), now_s
        self._write_section(fresh_for_s=2.5 * BEAT_S)
        self._desk.look(self._state, now_s, self._others.login, self._others.fetch)

    def _write_section(self, fresh_for_s: float) -> None:
        section = publish.section(
            self._state,
            self._clock(),
            self._now(),
            tier=self._session.tier,
            fresh_for_s=fresh_for_s,
            # Whoever met the 429: the budget is everybody's.
            limited_s=self._client.penalty_s,
        )
        try:
            self._status_file.write(section)
        except OSError as error:
            self._is_writable = False
            self._journal.error(f"{self._status_file.path} cannot be written: {error.strerror}")
            return
        if not self._is_writable:
            self._is_writable = True
            self._events.put(_Writable())
