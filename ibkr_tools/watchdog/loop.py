"""The watchdog's event loop: takes events in, has the state machine decide, and has its commands executed."""

import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import assert_never

from loguru import logger

from ibkr_tools import files
from ibkr_tools.config.schema import Config
from ibkr_tools.directories import Directories
from ibkr_tools.file_watcher import FileWatcher
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.status import StatusFile
from ibkr_tools.watchdog import state_machine, status_writer
from ibkr_tools.watchdog.alert_publisher import AlertPublisher
from ibkr_tools.watchdog.brokerage_session import CompetingPolicy
from ibkr_tools.watchdog.events import (
    Event,
    GatewayRequest,
    GatewayStarting,
    LocalCommand,
    LoginResultUnknown,
    Tick,
)
from ibkr_tools.watchdog.gateway_requester import GatewayRequester
from ibkr_tools.watchdog.inputs import ExternalInputs
from ibkr_tools.watchdog.local_commands import LocalCommandExecutor
from ibkr_tools.watchdog.push_connection import MakePushListener, PushConnection, PushReceived
from ibkr_tools.watchdog.state import State, TickleSchedule
from ibkr_tools.watchdog.status_writer import HEARTBEAT_INTERVAL_S, StatusWriter
from ibkr_tools.watchdog.time_source import TimeSource


@dataclass(frozen=True)
class _FileChanged:
    """Another process has replaced or removed one of the files that are watched."""

    path: Path


@dataclass(frozen=True)
class _StatusWritable:
    """The status file can be written again; the reports of other processes meanwhile are lost."""


@dataclass(frozen=True)
class _StopRequested:
    """End the loop."""


_QueueItem = Tick | _FileChanged | PushReceived | _StatusWritable | _StopRequested


class Watchdog:
    """One watchdog for one session; `run` returns when `stop` was called."""

    def __init__(
        self,
        client: PortalClient,
        config: Config,
        directories: Directories,
        status_file: StatusFile,
        notifier: SystemdNotifier,
        make_listener: MakePushListener,
        time_source: TimeSource | None = None,
    ) -> None:
        """Does nothing yet.

        Args:
            client: sends requests to the gateway.
            config: the configuration.
            directories: where the requests and the outbox are.
            status_file: the status file in `directories`.
            notifier: tells systemd that the process is ready and alive.
            make_listener: makes a listener for the push.
            time_source: clocks and a queue of a test's own; no thread watches files then, and each Tick alone reads
                those of other processes.
        """
        self._time = TimeSource() if time_source is None else time_source
        self._queue = self._time.queue
        self._directories = directories
        self._notifier = notifier
        self._has_file_watcher = time_source is None
        self._changed_files: set[Path] = set()
        self._stopping = False
        self._has_ticked = False
        now_s = self._time.clock()
        session = config.session
        self._state = State(
            wants_brokerage=session.tier == "brokerage",
            policy=CompetingPolicy(take=session.competing == "take", quiet_s=session.competing_quiet_min * 60.0),
            phase_since_s=now_s,
            schedule=TickleSchedule(due_at_s=now_s),
            outage_since_s=now_s,
        )
        self._requester = GatewayRequester(client)
        self._push = PushConnection(make_listener, self._queue.put)
        self._executor = LocalCommandExecutor(directories, self._push)
        self._status_writer = StatusWriter(
            status_file,
            notifier,
            self._time,
            tier=session.tier,
            # Whichever unit met the 429: they share one penalty.
            penalty_s=lambda: client.penalty_s,
            on_writable=lambda: self._queue.put(_StatusWritable()),
        )
        self._alerts = AlertPublisher(
            directories.outbox,
            user=config.username,
            outage_s=config.alerts.outage_min * 60.0,
            now=self._time.now,
        )
        self._inputs = ExternalInputs(
            status_file,
            directories,
            self._alerts,
            region=session.region,
            now=self._time.now,
            clock=self._time.clock,
        )

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
                for event in self._events_of(item):
                    self._dispatch(event)
                self._publish()
                self._notifier.watchdog()
        finally:
            self._push.close()
            self._status_writer.write(self._state, fresh_for_s=0.0)

    def _next_item(self) -> _QueueItem:
        if self._stopping:
            # What came before it may hang for many seconds more.
            return _StopRequested()
        due_at_s = min(state_machine.deadline(self._state), self._status_writer.due_at_s)
        wait_s = min(due_at_s - self._time.clock(), self._inputs.pause_ends_in_s())
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

    def _events_of(self, item: _QueueItem) -> list[Event]:
        match item:
            case _FileChanged(path=path):
                self._changed_files.discard(path)
                return self._inputs.read_changed(path)
            case PushReceived():
                pushed = self._push.current_event(item)
                return [] if pushed is None else [pushed]
            case Tick():
                # The kernel may have no inotify watch left, or a file may have changed just before the watch began.
                return [*self._inputs.poll(), item]
            case _StatusWritable():
                events = self._inputs.poll()
                return events if self._inputs.is_login_pending() else [*events, LoginResultUnknown()]
            case _StopRequested():
                return []
            case _:
                assert_never(item)

    def _dispatch(self, event: Event) -> None:
        """Gives the state machine one event, and then the results of its requests to the gateway."""
        pending = deque([event])
        while pending and not self._stopping:
            before = self._state
            self._state, commands = state_machine.step(before, pending.popleft(), self._time.clock())
            status_writer.log_transition(before, self._state, self._time.clock())
            if self._state.phase is not before.phase:
                self._publish()
            for command in commands:
                # Several calls in a row, each of which may hang for seconds, must not look like a hung process.
                self._notifier.watchdog()
                match command:
                    case GatewayRequest():
                        pending.append(self._requester.send(command))
                    case LocalCommand():
                        self._executor.execute(command)
                    case _:
                        assert_never(command)

    def _publish(self) -> None:
        if self._status_writer.update(self._state):
            self._alerts.update(self._state, self._time.clock(), self._inputs.last_login, self._inputs.last_fetch)

    def _watch_files(self) -> None:
        directories = self._directories
        hints = (directories.session_hint, directories.pause_request, directories.fetch_request)
        watched = (directories.status_file, directories.pause_file, *hints)
        try:
            watcher = FileWatcher(watched)
        except OSError as error:
            logger.warning(f"changes of the status are seen every {HEARTBEAT_INTERVAL_S:.0f} s only: {error.strerror}")
            return
        threading.Thread(target=self._report_changes, args=(watcher,), name="files", daemon=True).start()

    def _report_changes(self, watcher: FileWatcher) -> None:
        while True:
            for path in watcher.wait():
                self._file_changed(path)

    def _file_changed(self, path: Path) -> None:
        """Queues a file once, however often it changes meanwhile: members of the group may write some of them."""
        if path not in self._changed_files:
            self._changed_files.add(path)
            self._queue.put(_FileChanged(path))
