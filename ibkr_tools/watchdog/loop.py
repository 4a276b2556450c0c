"""The watchdog's event loop: turns calls, pushes and files into events, and executes the commands."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from ibkr_tools import files
from ibkr_tools.config.schema import AlertsConfig, SessionConfig
from ibkr_tools.directories import Directories
from ibkr_tools.errors import GatewayUnavailable, IbkrError, RateLimited, SessionUnavailable, UpstreamSilent
from ibkr_tools.log import Journal
from ibkr_tools.portal import endpoints
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.push_listener import PushClosed, PushEvent, PushListener
from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.status import StatusFile, utc_now
from ibkr_tools.watchdog import file_watcher, state_machine, status_writer
from ibkr_tools.watchdog.alert_publisher import AlertPublisher
from ibkr_tools.watchdog.brokerage_session import CompetingPolicy
from ibkr_tools.watchdog.events import (
    AccountsResult,
    BrokerageResult,
    Command,
    Event,
    GatewayStarting,
    LoginResultUnknown,
    Tick,
    TickleResult,
    ValidationResult,
    Verdict,
)
from ibkr_tools.watchdog.inputs import ExternalInputs
from ibkr_tools.watchdog.push_health import PushHealth
from ibkr_tools.watchdog.state import State

_NO_PUSH_HEALTH = PushHealth()
HEARTBEAT_INTERVAL_S = 10.0
"""How often the status is written and systemd gets its WATCHDOG=1."""


@dataclass(frozen=True)
class _FileChanged:
    """Another process has replaced or removed one of the files that are watched."""

    path: Path


@dataclass(frozen=True)
class _PushReceived:
    """An event of one connection; those of a connection that was ended are dropped."""

    connection: int
    event: PushEvent


@dataclass(frozen=True)
class _StatusWritable:
    """The status file can be written again; the reports of other processes meanwhile are lost."""


@dataclass(frozen=True)
class _StopRequested:
    """End the loop."""


def verdict_of(error: IbkrError) -> Verdict:
    """Returns what an error of the client says about the portfolio tier; only a bare SessionUnavailable is DEAD."""
    if isinstance(error, GatewayUnavailable):
        return Verdict.GATEWAY_DOWN
    if isinstance(error, RateLimited):
        return Verdict.RATE_LIMITED
    if isinstance(error, UpstreamSilent):
        return Verdict.SILENT
    return Verdict.DEAD if type(error) is SessionUnavailable else Verdict.UNKNOWN


_QueueItem = Tick | _FileChanged | _PushReceived | _StatusWritable | _StopRequested


class EventQueue(Protocol):
    """The queue of events: `queue.SimpleQueue`, or a test's own that lets virtual time pass."""

    def put(self, item: Any) -> None:
        """Adds one event; called from any thread."""

    def get(self, *, timeout: float) -> Any:
        """Returns the next event.

        Raises:
            queue.Empty: none came within `timeout` seconds.
        """


class Watchdog:
    """One watchdog for one session; `run` returns when `stop` was called.

    All of its time comes from `clock` (seconds that never jump), `now` (UTC) and `queue`, whose `get` is its only
    wait. Without `watch_files` no thread watches the files of other processes, and each Tick alone reads them.
    """

    def __init__(
        self,
        client: PortalClient,
        status_file: StatusFile,
        directories: Directories,
        notifier: SystemdNotifier,
        journal: Journal,
        *,
        session: SessionConfig,
        alerts: AlertsConfig,
        user: str,
        listener: Callable[[Callable[[PushEvent], None]], PushListener],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
        queue: EventQueue | None = None,
        watch_files: bool = True,
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
        self._has_file_watcher = watch_files
        self._stopping = False
        self._changed_files: set[Path] = set()
        self._has_ticked = False
        self._queue: EventQueue = SimpleQueue[_QueueItem]() if queue is None else queue
        wants_brokerage = session.tier == "brokerage"
        policy = CompetingPolicy(take=session.competing == "take", quiet_s=session.competing_quiet_min * 60.0)
        self._state = State(
            wants_brokerage=wants_brokerage,
            policy=policy,
            phase_since_s=clock(),
            due_at_s=clock(),
            outage_since_s=clock(),
        )
        self._listener: PushListener | None = None
        self._connection_number = 0
        outage_s = alerts.outage_min * 60.0
        self._alerts = AlertPublisher(directories.outbox, journal, user=user, outage_s=outage_s, now=now)
        self._inputs = ExternalInputs(
            status_file, directories, self._alerts, journal, region=session.region, now=now, clock=clock
        )
        self._published_at_s = 0.0
        self._published: State | None = None
        self._is_status_writable = True

    def stop(self) -> None:
        """Ends the loop soon; safe in a signal handler."""
        self._stopping = True
        self._queue.put(_StopRequested())

    def run(self) -> None:
        """Keeps the session until `stop`: every wait is for an event or the state machine's next deadline."""
        # A request of an earlier process: this one decides anew.
        files.remove(self._directories.login_request)
        # What was reported before this process began is no event, but for a gateway that is starting just now.
        initial_events = self._inputs.read_status()
        self._alerts.unit_recovered("ibkr-watchdog.service")
        if self._has_file_watcher:
            self._watch_files()
        for event in (*self._inputs.read_pause(), *self._inputs.read_window()):
            self._dispatch(event)
        self._dispatch(next((event for event in initial_events if isinstance(event, GatewayStarting)), Tick()))
        self._notifier.ready()
        try:
            while not isinstance(item := self._next_item(), _StopRequested):
                self._handle(item)
                self._publish()
                self._notifier.watchdog()
        finally:
            self._execute(Command.STOP_LISTENING)
            self._write_section(fresh_for_s=0.0)

    def _next_item(self) -> _QueueItem:
        if self._stopping:
            # What came before it may hang for many seconds more.
            return _StopRequested()
        now_s = self._clock()
        wait_s = min(state_machine.deadline(self._state), self._published_at_s + HEARTBEAT_INTERVAL_S) - now_s
        wait_s = min(wait_s, self._inputs.pause_ends_in_s())
        if wait_s <= 0 and not self._has_ticked:
            # What is due comes first, however many events there are.
            self._has_ticked = True
            return Tick()
        self._has_ticked = False
        try:
            item: _QueueItem = self._queue.get(timeout=max(0.0, wait_s))
        except Empty:
            return Tick()
        return item

    def _handle(self, item: _QueueItem) -> None:
        match item:
            case _FileChanged(path=path):
                self._changed_files.discard(path)
                for event in self._inputs.read_changed(path):
                    self._dispatch(event)
            case _PushReceived(connection=connection, event=pushed) if connection == self._connection_number:
                if isinstance(pushed, PushClosed):
                    self._journal.debug(f"push closed: {pushed.why}")
                    self._listener = None
                self._dispatch(pushed)
            case Tick():
                # The kernel may have no inotify watch left, or a file may have changed just before the watch began.
                for event in (*self._inputs.poll(), item):
                    self._dispatch(event)
            case _StatusWritable():
                for event in self._inputs.poll():
                    self._dispatch(event)
                if not self._inputs.is_login_pending():
                    self._dispatch(LoginResultUnknown())

    def _dispatch(self, event: Event) -> None:
        """Gives the state machine one event, and then the results of its commands."""
        pending = deque([event])
        while pending and not self._stopping:
            before = self._state
            self._state, commands = state_machine.step(before, pending.popleft(), self._clock())
            status_writer.log_transition(self._journal, before, self._state, self._clock())
            if self._state.phase is not before.phase:
                self._publish()
            for command in commands:
                if (result := self._execute(command)) is not None:
                    pending.append(result)
                # One call may hang for its full 10 s; several in a row must not look like a hung process.
                self._notifier.watchdog()

    def _execute(self, command: Command) -> Event | None:
        """Executes one command; returns the result of a call to the gateway, None for any other command."""
        match command:
            case Command.REQUEST_LOGIN:
                self._write_request(self._directories.login_request)
            case Command.REQUEST_FRESH_LOGIN:
                self._write_request(self._directories.login_request, b"fresh")
            case Command.RESTART_GATEWAY:
                self._write_request(self._directories.restart_request)
            case Command.LISTEN:
                self._listen()
            case Command.STOP_LISTENING:
                self._stop_listening()
            case _:
                return self._query(command)
        return None

    def _query(self, command: Command) -> Event:
        match command:
            case Command.VALIDATE:
                return self._validate()
            case Command.CHECK_AUTH_STATUS:
                return self._ask_status()
            case Command.LIST_ACCOUNTS:
                return self._list_accounts()
            case Command.REAUTHENTICATE:
                return self._request_brokerage(endpoints.REAUTHENTICATE)
            case Command.INIT_BROKERAGE | Command.TAKE_BROKERAGE:
                # IBKR takes the one flag only with the other.
                return self._request_brokerage(
                    endpoints.SSODH_INIT, {"publish": True, "compete": command is Command.TAKE_BROKERAGE}
                )
            case _:
                return self._tickle()

    def _tickle(self) -> TickleResult:
        try:
            tickle = self._client.tickle()
        except IbkrError as error:
            self._journal.debug(f"tickle: {error.message}")
            return TickleResult(verdict_of(error), error.message)
        if not tickle.has_session:
            return TickleResult(Verdict.UNKNOWN, "the tickle names no session")
        self._journal.debug(f"tickled; brokerage authenticated: {tickle.authenticated}")
        return TickleResult(Verdict.ALIVE, tickle=tickle)

    def _validate(self) -> ValidationResult:
        try:
            alive = self._client.validate()
        except IbkrError as error:
            return ValidationResult(verdict_of(error), error.message)
        return ValidationResult(Verdict.ALIVE if alive else Verdict.DEAD, "IBKR says the session is over")

    def _ask_status(self) -> ValidationResult:
        try:
            self._client.request(endpoints.AUTH_STATUS)
        except IbkrError as error:
            return ValidationResult(verdict_of(error), error.message)
        return ValidationResult(Verdict.ALIVE)

    def _list_accounts(self) -> AccountsResult:
        try:
            rows = self._client.accounts()
        except IbkrError as error:
            return AccountsResult(verdict_of(error), error.message)
        # Called once, to confirm a new session; the gateway's handshake for the brokerage tier follows a moment later.
        self._client.reserve_headroom()
        return AccountsResult(Verdict.ALIVE, accounts=tuple(str(row["id"]) for row in rows if "id" in row))

    def _listen(self) -> None:
        if self._listener is not None:
            return
        self._connection_number += 1
        connection = self._connection_number
        self._listener = self._make_listener(lambda event: self._queue.put(_PushReceived(connection, event)))
        self._listener.start()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
            self._connection_number += 1

    def _request_brokerage(self, endpoint: endpoints.Endpoint, body: object = None) -> BrokerageResult:
        try:
            answer = self._client.request(endpoint, body=body)
        except IbkrError as error:
            self._journal.warning(f"asked for the brokerage tier: {error.message}")
            return BrokerageResult(verdict_of(error), error.message)
        self._journal.info(f"asked for the brokerage tier: {endpoint.name}")
        if isinstance(answer, dict) and answer.get("fail"):
            return BrokerageResult(Verdict.UNKNOWN, f"IBKR says: {str(answer['fail'])[:200]}")
        return BrokerageResult(Verdict.ALIVE)

    def _write_request(self, request: Path, content: bytes = b"") -> None:
        """Writes a request file, which systemd or the gateway's parent watches."""
        try:
            files.write_atomically(request, content, mode=0o600, fsync=False)
        except OSError as error:
            self._journal.error(f"{request} cannot be written: {error.strerror}")

    def _file_changed(self, path: Path) -> None:
        """Queues a file once, however often it changes meanwhile: members of the group may write one of them."""
        if path not in self._changed_files:
            self._changed_files.add(path)
            self._queue.put(_FileChanged(path))

    def _watch_files(self) -> None:
        watched = (self._status_file.path, self._directories.pause_file, self._directories.session_hint)
        try:
            file_watcher.start(watched, self._file_changed)
        except OSError as error:
            self._journal.warning(
                f"changes of the status are seen every {HEARTBEAT_INTERVAL_S:.0f} s only: {error.strerror}"
            )

    def _publish(self) -> None:
        now_s = self._clock()
        # A heartbeat of the push changes nothing in the status.
        if now_s - self._published_at_s < HEARTBEAT_INTERVAL_S and self._published == replace(
            self._state, push_health=_NO_PUSH_HEALTH
        ):
            return
        if self._published is None or self._published.phase is not self._state.phase:
            self._notifier.status(f"{self._state.phase.value}: {self._state.why}")
        self._published, self._published_at_s = replace(self._state, push_health=_NO_PUSH_HEALTH), now_s
        self._write_section(fresh_for_s=2.5 * HEARTBEAT_INTERVAL_S)
        self._alerts.update(self._state, now_s, self._inputs.last_login, self._inputs.last_fetch)

    def _write_section(self, fresh_for_s: float) -> None:
        section = status_writer.session_section(
            self._state,
            self._clock(),
            self._now(),
            tier=self._session.tier,
            fresh_for_s=fresh_for_s,
            # Whichever process met the 429: all share one request budget.
            rate_limited_s=self._client.penalty_s,
        )
        try:
            self._status_file.write(section)
        except OSError as error:
            self._is_status_writable = False
            self._journal.error(f"{self._status_file.path} cannot be written: {error.strerror}")
            return
        if not self._is_status_writable:
            self._is_status_writable = True
            self._queue.put(_StatusWritable())
