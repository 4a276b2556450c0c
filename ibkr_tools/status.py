"""The status file: what each process last said about itself, in one small JSON document.

It is written by replacement under a lock: a reader never sees half of it, and no writer loses another's section.
Reading it touches no network. What a process says ages: `fresh_for_s` after `updated_at` it is no longer believed.
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from ibkr_tools import files
from ibkr_tools.errors import AccessDenied, DataError

STATUS_SCHEMA = 1

STATUS_LOCK_TIMEOUT_S = 3.0
"""How long a writer waits for another one, which may be stopped (Ctrl-Z); systemd waits 15 s for the gateway's ping."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A point in time that says which zone it is in: without one it could not be compared with now."""


class SessionState(StrEnum):
    """What the watchdog knows about the session."""

    STARTING = "starting"
    GATEWAY_DOWN = "gateway-down"
    UNREACHABLE = "unreachable"
    MAINTENANCE = "maintenance"
    LOGGING_IN = "logging-in"
    UP = "up"
    DEGRADED = "degraded"
    LOST = "lost"
    BACKING_OFF = "backing-off"
    COMPETING = "competing"
    LOCKED_OUT = "locked-out"
    PAUSED = "paused"


class Section(msgspec.Struct, kw_only=True, frozen=True):
    """What every section has.

    `updated_at` is when its process wrote it (UTC); `fresh_for_s` is for how many seconds that may be believed,
    null for facts that do not age.
    """

    updated_at: Moment
    fresh_for_s: float | None = None
    pid: int | None = None

    def is_stale(self, now: datetime) -> bool:
        """Says whether the process that wrote this has been silent for longer than it promised."""
        return self.fresh_for_s is not None and (now - self.updated_at).total_seconds() > self.fresh_for_s

    def age_s(self, now: datetime) -> float:
        """Returns the seconds since the section was written, never negative."""
        return max(0.0, (now - self.updated_at).total_seconds())


GatewayState = Literal["starting", "up", "unresponsive", "stopped"]


class GatewaySection(Section, kw_only=True, frozen=True):
    """The gateway's parent process: is Java there, and does it answer locally.

    `filtered`: whether the packet filter guards the port; null while nobody knows.
    """

    state: GatewayState
    since: Moment
    port: int
    upstream: str
    java_pid: int | None = None
    build: str | None = None
    filtered: bool | None = None


class SessionSection(Section, kw_only=True, frozen=True):
    """The watchdog: what it knows about the session, why, and what comes next.

    `todo` is what a person should do, null if nothing. `up_since` is when the present session was first proven,
    null without one; `accounts` are those the user may view in it. `losses` counts since the watchdog started, as
    do `recoveries`, the sessions that came back after a loss; `recovery_total_s` and `last_recovery_s` are the seconds
    from loss to session of all of them and of the last one.
    `paused`: a person asked that nothing logs in, until `paused_until` or, if that is null, until `resume`; a session
    that is there is kept alive all the same. `window` names IBKR's reset or maintenance window that is open now.
    `limited_until`: IBKR has answered 429 to a unit, and no process of ours sends a request until then; null if they
    may.
    """

    state: SessionState
    since: Moment
    why: str
    next: str | None = None
    next_at: Moment | None = None
    todo: str | None = None
    tier: str = "portfolio"
    up_since: Moment | None = None
    accounts: tuple[str, ...] = ()
    last_tickle_at: Moment | None = None
    losses: int = 0
    recoveries: int = 0
    recovery_total_s: float = 0.0
    last_recovery_s: float | None = None
    paused: bool = False
    paused_until: Moment | None = None
    window: str | None = None
    limited_until: Moment | None = None


LoginState = Literal[
    "running",
    "succeeded",
    "failed",
    "maintenance",
    "refused",
    "action-required",
    "locked-out",
    "not-needed",
    "broken",
    "unlocked",
]


class LoginSection(Section, kw_only=True, frozen=True):
    """The last login, by whomever: running, or how it ended.

    `refused`: IBKR refused user name, password or code; `action-required`: it did not, and a person has to act all the
    same. `maintenance` is IBKR's own word for why its page let nobody in; `broken` is a machine that cannot log in (no
    browser, wrong configuration); `unlocked` means that a person cleared the budget. `retry_at` is when the budget
    allows the next unattended try, null if no machine may. `accounts` are those that proved the session of a login
    that succeeded; such a login may leave a `todo` all the same. `logins_limited_until`: so many logins have succeeded
    within 24 h that unattended ones are an hour apart until then, null if they are not. `recognised`: the elements of
    IBKR's login page that no selector found, and by what they were recognised instead: IBKR has changed its page.
    `page_reports`: the files that say how, which can be published as they are.
    """

    state: LoginState
    retry_at: Moment | None = None
    accounts: tuple[str, ...] = ()
    why: str
    todo: str | None = None
    duration_s: float | None = None
    failures_24h: int = 0
    logins_24h: int = 0
    logins_limited_until: Moment | None = None
    recognised: dict[str, str] = {}
    page_reports: tuple[str, ...] = ()


class FetchSection(Section, kw_only=True, frozen=True):
    """The last fetch: under way and waiting for the next session, or how it ended.

    `session_lost` is a hint for the watchdog: look now, not at the next beat. `missing_accounts` says which accounts
    answer nothing but errors, and why; `missing` which supplementary parts did not come: as the last fetch that asked
    for them found out, whether anything was saved without them or not. `topic` is under which the watchdog tells a
    person why it failed, null if it does not.
    """

    state: Literal["waiting", "succeeded", "failed"]
    why: str
    session_lost: bool = False
    missing_accounts: dict[str, str] = {}
    missing: dict[str, str] = {}
    topic: str | None = None
    saved: str | None = None
    saved_at: Moment | None = None


class FlexSection(Section, kw_only=True, frozen=True):
    """The last fetch of Flex statements. `action-required`: nothing is asked for until a person has acted.

    `problems`: what does not add up or is missing in what came, and that the token ends soon. `covered_to` is the last
    day of the statements that were kept last. `topic` is under which a person was told why it failed, null if nobody
    was.
    """

    state: Literal["succeeded", "failed", "action-required"]
    why: str
    todo: str | None = None
    problems: tuple[str, ...] = ()
    covered_to: date | None = None
    token_expires: date | None = None
    topic: str | None = None


class Status(msgspec.Struct, kw_only=True, frozen=True):
    """The whole document; a section is null until its process has written it."""

    schema: int = STATUS_SCHEMA
    gateway: GatewaySection | None = None
    session: SessionSection | None = None
    login: LoginSection | None = None
    fetch: FetchSection | None = None
    flex: FlexSection | None = None


_S = TypeVar("_S", GatewaySection, SessionSection, LoginSection, FetchSection, FlexSection)
_SECTION_NAMES: Mapping[type[Section], str] = {
    GatewaySection: "gateway",
    SessionSection: "session",
    LoginSection: "login",
    FetchSection: "fetch",
    FlexSection: "flex",
}


def utc_now() -> datetime:
    """Returns the time now, aware, in UTC."""
    return datetime.now(UTC)


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of `status.json`."""
    definition: dict[str, Any] = msgspec.json.schema(Status)
    definition["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    definition["title"] = "status.json of ibkr-tools"
    return definition


class StatusFile:
    """The status file of one IBKR user."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Status:
        """Returns what the processes said; an absent file is a status without sections.

        Raises:
            AccessDenied: this user may not look.
            DataError: the file is not ours, or of a schema this version does not know.
        """
        try:
            data = files.read_regular(self.path)
        except FileNotFoundError:
            return Status()
        except PermissionError as error:
            raise AccessDenied.to(self.path) from error
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror}") from error
        try:
            raw = msgspec.json.decode(data)
            if isinstance(raw, dict) and raw.get("schema") != STATUS_SCHEMA:
                raise DataError(
                    f"{self.path}: is of schema {raw.get('schema')!r}, this version knows {STATUS_SCHEMA}",
                    hint="Another version of ibkr-tools wrote it: restart the units.",
                )
            return msgspec.convert(raw, Status)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DataError(
                f"{self.path}: not a status file of ibkr-tools ({error})",
                hint="The units write a new one by themselves.",
            ) from error

    def read_or_empty(self) -> Status:
        """Returns what the processes said; a file that is not to be believed is a status without sections."""
        try:
            return self.read()
        except (AccessDenied, DataError):
            return Status()

    def read_section(self, kind: type[_S]) -> _S | None:
        """Returns one section, None if it was never written or the file is not to be believed."""
        section: _S | None = getattr(self.read_or_empty(), _SECTION_NAMES[kind])
        return section

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Returns True as soon as `condition` holds, False after `seconds`; looks whenever the file was written.

        Raises:
            OSError: there is no runtime directory and none can be made, or it cannot be watched.
        """
        from ibkr_tools.file_watcher import FileWatcher

        deadline = time.monotonic() + seconds
        with FileWatcher([self.path]) as watcher:
            while not condition():
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                # Sections age without being written, and poll(2) counts milliseconds in 31 bits.
                watcher.wait(min(left_s, 1.0))
        return True

    def write(self, section: Section) -> None:
        """Replaces one section and leaves the others as they are; a damaged file is replaced whole.

        Raises:
            OSError: the runtime directory is missing, full or not writable, or a process that was stopped while it
                wrote keeps everybody else out.
        """
        files.make_directory(self.path.parent, mode=0o700)
        with files.locked(self.path.with_suffix(".lock"), timeout_s=STATUS_LOCK_TIMEOUT_S):
            status = msgspec.structs.replace(self.read_or_empty(), **{_SECTION_NAMES[type(section)]: section})
            files.write_atomically(self.path, msgspec.json.encode(status) + b"\n", mode=0o640, fsync=False)
