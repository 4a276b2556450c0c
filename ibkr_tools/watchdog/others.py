"""What the watchdog is told by files, by people, and by the calendar: each read gives only what is new."""

import math
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfoNotFoundError

from ibkr_tools import hints, pause
from ibkr_tools.directories import Directories
from ibkr_tools.log import Journal
from ibkr_tools.status import FetchSection, GatewaySection, LoginSection, StatusFile
from ibkr_tools.watchdog import windows
from ibkr_tools.watchdog.desk import Desk
from ibkr_tools.watchdog.observations import (
    FetchHinted,
    GatewayChanged,
    GatewayStarting,
    LoginReported,
    Observation,
    Paused,
    Resumed,
    WindowChanged,
)

if TYPE_CHECKING:
    from ibkr_tools.pause import Pause
    from ibkr_tools.watchdog.windows import Window


HINTS_APART_S = 10.0
"""A member of the group may hint as often as it likes; that we look costs IBKR a request."""


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Others:
    """Reads the sections of the other processes, the pause, and IBKR's windows.

    `login` and `fetch` are their last words.
    """

    def __init__(
        self,
        status_file: StatusFile,
        directories: Directories,
        desk: Desk,
        journal: Journal,
        *,
        region: str,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins with what is there now: `now` is UTC, `clock` gives seconds that never jump."""
        self._status_file = status_file
        self._pause_file = directories.pause_file
        self._hint = directories.session_hint
        self._hint_stamp = hints.stamp(self._hint)
        self._clock = clock
        self._hinted_s = -math.inf
        self._login_request = directories.login_request
        self._desk = desk
        self._journal = journal
        self._region: str | None = region
        self._now = now
        self._seen: dict[type, object] = {}
        self._pause: Pause | None = None
        self._window: Window | None = None
        self.login: LoginSection | None = None
        self.fetch: FetchSection | None = None

    def everything(self) -> list[Observation]:
        """Returns what is new anywhere."""
        return [*self.pause(), *self.window(), *self.status(), *self.hint()]

    def changed(self, path: Path) -> list[Observation]:
        """Returns what is new in a file that was written just now."""
        if path == self._pause_file:
            return self.pause()
        return self.hint() if path == self._hint else self.status()

    def hint(self) -> list[Observation]:
        """Returns whether a fetch without rights in the status has met no session since the last call.

        However many hints there are: one of them every `HINTS_APART_S` has us look.
        """
        stamp, now_s = hints.stamp(self._hint), self._clock()
        if stamp == self._hint_stamp:
            return []
        self._hint_stamp = stamp
        if not stamp or now_s - self._hinted_s < HINTS_APART_S:
            return []
        self._hinted_s = now_s
        return [FetchHinted()]

    def pause_ends_in_s(self) -> float:
        """Returns the seconds until the pause is over by itself."""
        until = None if self._pause is None else self._pause.until
        return float("inf") if until is None else (until - self._now()).total_seconds()

    def pause(self) -> list[Observation]:
        """Returns what a person has said about a pause since the last call."""
        found = pause.read(self._pause_file, self._now())
        before, self._pause = self._pause, found
        if found is None:
            return [] if before is None else [Resumed()]
        return [] if before is not None and before.until == found.until else [Paused(found.until)]

    def window(self) -> list[Observation]:
        """Returns whether one of IBKR's windows has opened or closed since the last call."""
        if self._region is None:
            return []
        now = self._now()
        try:
            found = windows.current(self._region, now)
        except ZoneInfoNotFoundError as error:
            self._journal.warning(f"IBKR's reset and maintenance times are not known: {error} (Debian: tzdata)")
            self._region = None
            return []
        if found == self._window:
            return []
        self._window = found
        return [WindowChanged(None) if found is None else WindowChanged(found.name, (found.ends - now).total_seconds())]

    def status(self) -> list[Observation]:
        """Returns what the other processes have said since the last call."""
        found: list[Observation] = []
        gateway = self._status_file.read_section(GatewaySection)
        if gateway is not None and self._is_new(GatewaySection, (gateway.state, gateway.java_pid)):
            if gateway.state == "starting" and not gateway.is_stale(self._now()):
                found.append(GatewayStarting())
            else:
                found.append(GatewayChanged(up=gateway.state == "up"))
            if gateway.state == "up":
                self._desk.unit_is_well("ibkr-gateway.service", "ibkr-firewall.service")
        login = self._status_file.read_section(LoginSection)
        if login is not None and self._is_new(LoginSection, login.updated_at):
            self.login = login
            retry_in_s = None if login.retry_at is None else (login.retry_at - self._now()).total_seconds()
            found.append(LoginReported(login, retry_in_s))
        fetch = self._status_file.read_section(FetchSection)
        if fetch is not None and self._is_new(FetchSection, fetch.updated_at):
            self.fetch = fetch
            if fetch.state == "succeeded":
                self._desk.unit_is_well("ibkr-fetch.service")
            if fetch.session_lost:
                found.append(FetchHinted())
        return found

    def has_login(self) -> bool:
        """Says whether a login is asked for, or under way as far as its last word tells."""
        last = self.login
        runs = last is not None and last.state == "running" and last.pid is not None and _lives(last.pid)
        return runs or self._login_request.exists()

    def _is_new(self, kind: type, value: object) -> bool:
        new = self._seen.get(kind) != value
        self._seen[kind] = value
        return new
