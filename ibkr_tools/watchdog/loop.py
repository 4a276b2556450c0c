"""The watchdog's loop: turns calls, pushes and files into observations, and does what the machine wants."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from inotify_simple import INotify, flags

from ibkr_tools import files
from ibkr_tools.config import NotifyConfig, SessionConfig
from ibkr_tools.directories import Directories
from ibkr_tools.errors import GatewayUnavailable, IbkrError, RateLimited, SessionUnavailable, UpstreamSilent
from ibkr_tools.log import Journal
from ibkr_tools.notify import Notifier
from ibkr_tools.portal import endpoints
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.push import PushClosed, PushEvent, PushListener
from ibkr_tools.status import (
    FetchSection,
    GatewaySection,
    LoginSection,
    SessionSection,
    SessionState,
    StatusFile,
    utc_now,
)
from ibkr_tools.watchdog import machine
from ibkr_tools.watchdog.observations import (
    Action,
    FetchHinted,
    GatewayChanged,
    GatewayStarting,
    Listed,
    LoginReported,
    Observation,
    Tick,
    Tickled,
    Validated,
    Verdict,
)

BEAT_S = 10.0
"""How often the status is renewed and systemd is told that we are useful."""

_QUIET = {SessionState.UP, SessionState.LOGGING_IN, SessionState.STARTING}


@dataclass(frozen=True)
class _StatusChanged:
    """Somebody wrote the status file."""


@dataclass(frozen=True)
class _Pushed:
    """What one of our connections delivered; one that we ended has no say any more."""

    connection: int
    event: PushEvent


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


_Event = Tick | _StatusChanged | _Pushed | _Stop


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
        self._notify = notify
        self._user = user
        self._make_listener = listener
        self._clock = clock
        self._now = now
        self._watch = watch
        self._stopping = False
        self._events: Events = SimpleQueue[_Event]() if events is None else events
        wants_brokerage = session.tier == "brokerage"
        self._state = machine.State(wants_brokerage=wants_brokerage, since_s=clock(), due_s=clock())
        self._listener: PushListener | None = None
        self._connection = 0
        self._seen: dict[type, object] = {}
        self._published_s = 0.0
        self._published: machine.State | None = None

    def stop(self) -> None:
        """Ends the loop soon; safe in a signal handler."""
        self._stopping = True
        self._events.put(_Stop())

    def run(self) -> None:
        """Keeps the session until `stop`: every wait is for an event or the machine's next deadline."""
        with suppress(FileNotFoundError):
            # A request of a former life: this one decides anew.
            self._directories.login_request.unlink()
        # What was said before this life is not news, but for a gateway that is starting just now.
        said = self._read_status()
        if self._watch:
            threading.Thread(target=self._watch_status, name="status", daemon=True).start()
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
        wait_s = min(machine.deadline(self._state) - now_s, self._published_s + BEAT_S - now_s)
        try:
            event: _Event = self._events.get(timeout=max(0.0, wait_s))
        except Empty:
            return Tick()
        return event

    def _take(self, event: Tick | _StatusChanged | _Pushed | _Stop) -> None:
        match event:
            case _StatusChanged():
                for observation in self._read_status():
                    self._feed(observation)
            case _Pushed(connection=connection, event=pushed) if connection == self._connection:
                if isinstance(pushed, PushClosed):
                    self._journal.debug(f"push closed: {pushed.why}")
                    self._listener = None
                self._feed(pushed)
            case Tick():
                # The kernel may have no watch left to give, or the file may have changed just before it gave ours.
                for observation in self._read_status():
                    self._feed(observation)
                self._feed(event)

    def _feed(self, observation: Observation) -> None:
        """Gives the machine one observation, and then those that its actions bring about."""
        pending = deque([observation])
        while pending and not self._stopping:
            before = self._state
            self._state, actions = machine.step(before, pending.popleft(), self._clock())
            self._log_change(before, self._state)
            if self._state.phase is not before.phase:
                self._publish()
            for action in actions:
                if (answer := self._do(action)) is not None:
                    pending.append(answer)
                # One call may hang for its full 10 s; several in a row must not look like a hung process.
                self._notifier.watchdog()

    def _do(self, action: Action) -> Observation | None:
        match action:
            case Action.TICKLE:
                return self._tickle()
            case Action.VALIDATE:
                return self._validate()
            case Action.LIST_ACCOUNTS:
                return self._list_accounts()
            case Action.REAUTHENTICATE:
                self._ask(endpoints.REAUTHENTICATE)
            case Action.INIT_BROKERAGE:
                self._ask(endpoints.SSODH_INIT, {"publish": True, "compete": False})
            case Action.REQUEST_LOGIN:
                self._leave(self._directories.login_request)
            case Action.RESTART_GATEWAY:
                self._leave(self._directories.restart_request)
            case Action.LISTEN:
                self._listen()
            case Action.STOP_LISTENING:
                self._stop_listening()
        return None

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

    def _list_accounts(self) -> Listed:
        try:
            rows = self._client.accounts()
        except IbkrError as error:
            return Listed(verdict_of(error), error.message)
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

    def _ask(self, endpoint: endpoints.Endpoint, body: object = None) -> None:
        try:
            self._client.request(endpoint, body=body)
            self._journal.info(f"asked for the brokerage tier: {endpoint.name}")
        except IbkrError as error:
            self._journal.warning(f"asked for the brokerage tier: {error.message}")

    def _leave(self, request: Path) -> None:
        """Leaves a request file; who it is for is watching for it."""
        try:
            files.write_atomically(request, b"", mode=0o664, durable=False)
        except OSError as error:
            self._journal.error(f"{request} cannot be written: {error.strerror}")

    def _watch_status(self) -> None:
        try:
            files.make_directory(self._status_file.path.parent, mode=0o775)
            inotify = INotify()
            inotify.add_watch(self._status_file.path.parent, flags.MOVED_TO)
        except OSError as error:
            self._journal.warning(f"changes of the status are seen every {BEAT_S:.0f} s only: {error.strerror}")
            return
        with inotify:
            while True:
                if any(event.name == self._status_file.path.name for event in inotify.read()):
                    self._events.put(_StatusChanged())

    def _read_status(self) -> list[Observation]:
        """Returns what the other processes have said since the last call."""
        found: list[Observation] = []
        gateway = self._status_file.read_section(GatewaySection)
        if gateway is not None and self._is_new(GatewaySection, (gateway.state, gateway.java_pid)):
            if gateway.state == "starting" and not gateway.is_stale(self._now()):
                found.append(GatewayStarting())
            else:
                found.append(GatewayChanged(up=gateway.state == "up"))
        login = self._status_file.read_section(LoginSection)
        if login is not None and self._is_new(LoginSection, login.updated_at):
            retry_in = None if login.retry_at is None else (login.retry_at - self._now()).total_seconds()
            found.append(LoginReported(login, retry_in))
        fetch = self._status_file.read_section(FetchSection)
        if fetch is not None and self._is_new(FetchSection, fetch.updated_at) and fetch.session_lost:
            found.append(FetchHinted())
        return found

    def _is_new(self, kind: type, value: object) -> bool:
        new = self._seen.get(kind) != value
        self._seen[kind] = value
        return new

    def _log_change(self, before: machine.State, after: machine.State) -> None:
        if after.losses > before.losses and before.up_since_s is not None:
            self._journal.warning(f"session lost after {self._clock() - before.up_since_s:.0f} s: {after.why}")
        if after.phase is before.phase:
            return
        text = f"session {after.phase.value}: {after.why}; next: {after.next}"
        if after.todo:
            self._journal.error(text)
            self._journal.error(f"to do: {after.todo}")
        elif after.phase in _QUIET:
            self._journal.info(text)
        else:
            self._journal.warning(text)

    def _publish(self) -> None:
        now_s = self._clock()
        if self._published == self._state and now_s - self._published_s < BEAT_S:
            return
        if self._published is None or self._published.phase is not self._state.phase:
            self._notifier.status(f"{self._state.phase.value}: {self._state.why}")
        self._published, self._published_s = self._state, now_s
        self._write_section(fresh_for_s=2.5 * BEAT_S)

    def _write_section(self, fresh_for_s: float) -> None:
        state, now_s, now = self._state, self._clock(), self._now()

        def wall(at_s: float | None) -> datetime | None:
            return None if at_s is None else now + timedelta(seconds=at_s - now_s)

        section = SessionSection(
            updated_at=now,
            fresh_for_s=fresh_for_s,
            pid=os.getpid(),
            state=state.phase,
            since=wall(state.since_s) or now,
            why=state.why,
            next=state.next,
            next_at=wall(machine.deadline(state)),
            todo=state.todo,
            tier=self._session.tier,
            up_since=wall(state.up_since_s),
            accounts=state.accounts,
            last_tickle_at=wall(state.last_tickle_s),
            losses=state.losses,
        )
        try:
            self._status_file.write(section)
        except OSError as error:
            self._journal.error(f"{self._status_file.path} cannot be written: {error.strerror}")
