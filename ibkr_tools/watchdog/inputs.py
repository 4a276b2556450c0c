"""The external inputs of the watchdog (status file, pause, hints, calendar) as events: each read returns news."""

import math
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfoNotFoundError

from loguru import logger

from ibkr_tools import pause_file, session_hint
from ibkr_tools.directories import Directories
from ibkr_tools.status import FetchSection, GatewaySection, LoginSection, StatusFile
from ibkr_tools.watchdog import maintenance_windows
from ibkr_tools.watchdog.alert_publisher import AlertPublisher
from ibkr_tools.watchdog.events import (
    Event,
    FetchHinted,
    GatewayChanged,
    GatewayStarting,
    LoginReported,
    LoginResultUnknown,
    PauseEnded,
    PauseStarted,
    WindowChanged,
)
from ibkr_tools.watchdog.member_requests import MemberRequests

if TYPE_CHECKING:
    from ibkr_tools.pause_file import Pause
    from ibkr_tools.watchdog.maintenance_windows import MaintenanceWindow


MIN_HINT_INTERVAL_S = 10.0
"""A member of the group may leave hints as often as it likes; each check costs IBKR a request."""

LOGIN_END_GRACE_S = 5.0
"""What reports a login that could not do so itself (`ibkr_tools.login.post_stop`) takes its time to start."""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class ExternalInputs:
    """Reads the sections of the other processes, the pause, and IBKR's windows.

    `last_login` and `last_fetch` are the sections that were read last.
    """

    def __init__(
        self,
        status_file: StatusFile,
        directories: Directories,
        alerts: AlertPublisher,
        *,
        region: str,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins with what is there now: `now` is UTC, `clock` gives seconds that never jump."""
        self._status_file = status_file
        self._pause_file = directories.pause_file
        self._requests = MemberRequests(directories, now=now, clock=clock)
        self._hint_file = directories.session_hint
        self._hint_stamp = session_hint.modified_ns(self._hint_file)
        self._clock = clock
        self._hinted_at_s = -math.inf
        self._login_request = directories.login_request
        self._alerts = alerts
        self._region: str | None = region
        self._now = now
        self._last_seen: dict[type, object] = {}
        self._pause: Pause | None = None
        self._window: MaintenanceWindow | None = None
        self._login_gone_at_s: float | None = None
        self.last_login: LoginSection | None = None
        self.last_fetch: FetchSection | None = None

    def poll(self) -> list[Event]:
        """Returns the events of all inputs since the last call."""
        self._requests.take()
        return [*self.read_pause(), *self.read_window(), *self.read_status(), *self.read_login_end(), *self.read_hint()]

    def read_changed(self, path: Path) -> list[Event]:
        """Returns the events of a file that was written just now."""
        if path in self._requests.paths:
            self._requests.take()
            return self.read_pause()
        if path == self._pause_file:
            return self.read_pause()
        return self.read_hint() if path == self._hint_file else self.read_status()

    def read_hint(self) -> list[Event]:
        """Returns whether a fetch without rights in the status has met no session since the last call.

        However many hints there are: one of them every `MIN_HINT_INTERVAL_S` is an event.
        """
        stamp, now_s = session_hint.modified_ns(self._hint_file), self._clock()
        if stamp == self._hint_stamp:
            return []
        self._hint_stamp = stamp
        if not stamp or now_s - self._hinted_at_s < MIN_HINT_INTERVAL_S:
            return []
        self._hinted_at_s = now_s
        return [FetchHinted()]

    def pause_ends_in_s(self) -> float:
        """Returns the seconds until the pause is over by itself."""
        until = None if self._pause is None else self._pause.until
        return float("inf") if until is None else (until - self._now()).total_seconds()

    def read_pause(self) -> list[Event]:
        """Returns whether a pause has begun or ended since the last call."""
        current = pause_file.read(self._pause_file, self._now())
        before, self._pause = self._pause, current
        if current is None:
            return [] if before is None else [PauseEnded()]
        return [] if before is not None and before.until == current.until else [PauseStarted(current.until)]

    def read_window(self) -> list[Event]:
        """Returns whether one of IBKR's windows has opened or closed since the last call."""
        if self._region is None:
            return []
        now = self._now()
        try:
            window = maintenance_windows.open_window(self._region, now)
        except ZoneInfoNotFoundError as error:
            logger.warning("IBKR's reset and maintenance times are not known: {} (Debian: tzdata)", error)
            self._region = None
            return []
        if window == self._window:
            return []
        self._window = window
        return [
            WindowChanged(None) if window is None else WindowChanged(window.name, (window.ends - now).total_seconds())
        ]

    def read_status(self) -> list[Event]:
        """Returns the events of the other processes' sections since the last call."""
        events: list[Event] = []
        status = self._status_file.read_or_empty()
        gateway, login, fetch = status.gateway, status.login, status.fetch
        if gateway is not None and self._is_new(GatewaySection, (gateway.state, gateway.java_pid)):
            if gateway.state == "starting" and not gateway.is_stale(self._now()):
                events.append(GatewayStarting())
            else:
                events.append(GatewayChanged(up=gateway.state == "up"))
            if gateway.state == "up":
                self._alerts.unit_recovered("ibkr-gateway.service", "ibkr-firewall.service")
        if login is not None and self._is_new(LoginSection, login.updated_at):
            self.last_login = login
            retry_in_s = None if login.retry_at is None else (login.retry_at - self._now()).total_seconds()
            events.append(LoginReported(login, retry_in_s))
        if fetch is not None and self._is_new(FetchSection, fetch.updated_at):
            self.last_fetch = fetch
            if fetch.state == "succeeded":
                self._alerts.unit_recovered("ibkr-fetch.service")
            if fetch.session_lost:
                events.append(FetchHinted())
        return events

    def read_login_end(self) -> list[Event]:
        """Returns whether the login that runs by its last report is gone, and nobody reports how it ended.

        Who kills it may kill what systemd runs after it too (docs/reference/systemd.md#stop-post-killed).
        """
        login = self.last_login
        if login is None or login.state != "running" or login.pid is None or self.is_login_pending():
            self._login_gone_at_s = None
            return []
        now_s = self._clock()
        if self._login_gone_at_s is None:
            self._login_gone_at_s = now_s
        is_over = now_s - self._login_gone_at_s >= LOGIN_END_GRACE_S
        return [LoginResultUnknown()] if is_over and self._is_new(LoginResultUnknown, login.updated_at) else []

    def is_login_pending(self) -> bool:
        """Says whether a login is requested, or runs by its last report."""
        login = self.last_login
        is_running = login is not None and login.state == "running" and login.pid is not None and _is_alive(login.pid)
        return is_running or self._login_request.exists()

    def _is_new(self, kind: type, value: object) -> bool:
        is_new = self._last_seen.get(kind) != value
        self._last_seen[kind] = value
        return is_new
