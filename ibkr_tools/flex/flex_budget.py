"""What all processes know of one token: when requests were sent, until when none may be, whether it is refused.

The state is a file that is locked for each decision. It recognises the token by 16 bits of a salted HMAC, as the login
log recognises a password: enough to see that there is a new one, and not to find it. A file that is lost or damaged is
no clean slate: it may have said that the token is locked.
"""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from loguru import logger

from ibkr_tools import files
from ibkr_tools.boot_id import read_boot_id
from ibkr_tools.config.secrets import Secret
from ibkr_tools.duration_format import format_wait
from ibkr_tools.errors import ActionRequired, OutputError, StatementUnavailable
from ibkr_tools.flex.flex_errors import RENEWAL_HINT
from ibkr_tools.schema_number import describe_other
from ibkr_tools.status import Moment, utc_now

INTERVAL_S = 1.1
"""Between two requests; IBKR allows one a second."""

WINDOW_S, REQUESTS_PER_WINDOW = 60.5, 8
"""IBKR allows ten a minute, and another program may have the same token."""

MAX_WAIT_S = 120.0
"""A request that would have to wait for longer is not sent, in seconds."""

MAX_BLOCK = timedelta(hours=1)
"""The longest time for which requests are put off."""

MAX_VALIDATION_FAILURES = 2
"""So often an error is waited out, an hour each time, that a new token or query may lead to."""

LOCK_QUIET = timedelta(minutes=15)
"""How long after a lock a person may not try again either: requests prolong it."""

LOST_HINT = "If another program has used the token too, look there what IBKR said last."

AGAIN_HINT = "When that is done: ibkr-tools flex check --again sends one request in spite of it."

_LOCK_TIMEOUT_S = 5.0
_FILE_MODE = 0o600


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing is sent any more, until there is a new token, or a person asks again.

    `query` is the one that was asked for if it is about that: another one ends it. `is_lock`: requests prolong it.
    """

    at: Moment
    code: int
    why: str
    hint: str | None = None
    query: str | None = None
    is_lock: bool = False


TOKEN_STATE_SCHEMA = 1
"""The schema of the file."""


class TokenState(msgspec.Struct, frozen=True, kw_only=True):
    """The file's content. `sent` are the last requests by the monotonic clock of the boot `boot_id`.

    `blocked_until`: no request before then. `validation_failures` counts errors that a new token or query may lead to.
    `failing_since`: when the first of the failures was that no success has followed.
    """

    salt: str
    fingerprint: str = ""
    boot_id: str = ""
    sent: tuple[float, ...] = ()
    blocked_until: Moment | None = None
    blocked_why: str = ""
    validation_failures: int = 0
    refusal: Refusal | None = None
    failing_since: Moment | None = None
    schema: int = TOKEN_STATE_SCHEMA


def earliest_send_time(sent: tuple[float, ...], now_s: float) -> float:
    """Returns when one more request may be sent: `now_s` or later."""
    ordered = sorted(sent)
    at = now_s
    if ordered:
        at = max(at, ordered[-1] + INTERVAL_S)
    if len(ordered) >= REQUESTS_PER_WINDOW:
        at = max(at, ordered[-REQUESTS_PER_WINDOW] + WINDOW_S)
    return at


def recent(sent: tuple[float, ...], now_s: float) -> tuple[float, ...]:
    """Returns the requests that still count; none is later than a process may reserve."""
    return tuple(sorted(at for at in sent if now_s - WINDOW_S < at <= now_s + MAX_WAIT_S))[-REQUESTS_PER_WINDOW:]


def blocked_until(state: TokenState, now: datetime) -> datetime | None:
    """Returns until when no request may be sent; None: one may be."""
    return None if state.blocked_until is None or state.blocked_until <= now else state.blocked_until


def without_future(state: TokenState, now: datetime) -> TokenState:
    """Returns what is known, with no time that can only be one of a clock that was wrong: those would never pass."""
    refusal, until, since = state.refusal, state.blocked_until, state.failing_since
    if refusal is not None and refusal.at > now:
        refusal = msgspec.structs.replace(refusal, at=now)
    return msgspec.structs.replace(
        state,
        refusal=refusal,
        blocked_until=None if until is None else min(until, now + MAX_BLOCK),
        failing_since=None if since is None else min(since, now),
    )


def standing_refusal(state: TokenState, query: str) -> Refusal | None:
    """Returns why nothing is to be sent for this query."""
    refusal = state.refusal
    return refusal if refusal is not None and refusal.query in {None, query} else None


def _without_refusal(state: TokenState) -> TokenState:
    return msgspec.structs.replace(state, blocked_until=None, blocked_why="", validation_failures=0, refusal=None)


@dataclass(frozen=True)
class TokenIdentity:
    """Whose budget it is: the token, and the query that is asked for with it."""

    token: Secret
    query: str


class TokenBudget:
    """The budget of one token over all processes.

    Raises, from every method:
        OutputError: the file cannot be written; then nothing is to be sent, since nobody else would know.
    """

    def __init__(
        self,
        path: Path,
        identity: TokenIdentity,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
        boot_id: Callable[[], str] = read_boot_id,
    ) -> None:
        """Prepares it; nothing is read yet.

        Args:
            path: the file, in a directory that only its user may write.
            identity: token and query.
            clock: seconds that never jump, the same for all processes of one boot.
            now: the time, aware, in UTC.
            boot_id: which boot `clock` is of.
        """
        self._path = path
        self._lock = path.with_suffix(".lock")
        self._identity = identity
        self._clock = clock
        self._now = now
        self._boot_id = boot_id()

    @contextmanager
    def single_flight(self) -> Iterator[None]:
        """Holds the block for one process at a time: IBKR makes one statement at a time for a token.

        Raises:
            StatementUnavailable: another process fetches just now.
        """
        try:
            files.make_directory(self._path.parent, mode=0o700)
            with files.locked(self._path.with_suffix(".flight"), timeout_s=_LOCK_TIMEOUT_S):
                yield
        except TimeoutError:
            raise StatementUnavailable(
                "another process fetches statements just now", hint="It takes ten minutes at the most."
            ) from None
        except OSError as error:
            raise self._output_error(error) from error

    def require_usable(self) -> None:
        """Checks that nothing keeps requests from being sent.

        Raises:
            ActionRequired: IBKR has refused token or query; nothing has changed since.
            StatementUnavailable: not before a time.
        """
        with self._locked():
            state, now = self._load(), self._now()
        if (refusal := standing_refusal(state, self._identity.query)) is not None:
            hint = f"{refusal.hint or RENEWAL_HINT} {AGAIN_HINT}"
            raise ActionRequired(f"nothing was sent: on {refusal.at:%Y-%m-%d %H:%M} UTC {refusal.why}", hint=hint)
        until = blocked_until(state, now)
        if until is not None and (wait_s := (until - now).total_seconds()) > MAX_WAIT_S:
            raise StatementUnavailable(f"{state.blocked_why}; asked again in {format_wait(wait_s)}")

    def lift(self) -> None:
        """Has requests sent again, because a person says that they have done something about a refusal.

        Raises:
            StatementUnavailable: the token is locked, and a request now would prolong it.
        """
        with self._locked():
            state, now = self._load(), self._now()
            refusal = standing_refusal(state, self._identity.query)
            if refusal is not None and refusal.is_lock:
                quiet_until = refusal.at + LOCK_QUIET
                if now < quiet_until:
                    raise StatementUnavailable(
                        f"{refusal.why}; a request now would prolong it",
                        hint=f"Possible in {format_wait((quiet_until - now).total_seconds())}.",
                    )
            self._store(_without_refusal(state))

    def reserve(self) -> float:
        """Reserves one request, and returns in how many seconds it may be sent.

        Raises:
            StatementUnavailable: that would take longer than `MAX_WAIT_S`.
        """
        with self._locked():
            state, now_s, now = self._load(), self._clock(), self._now()
            sent = recent(state.sent, now_s)
            at = earliest_send_time(sent, now_s)
            if (until := blocked_until(state, now)) is not None:
                at = max(at, now_s + (until - now).total_seconds())
            wait_s = at - now_s
            if wait_s > MAX_WAIT_S:
                why = state.blocked_why or "other processes ask with the same token"
                raise StatementUnavailable(f"{why}; possible in {format_wait(wait_s)}")
            self._store(msgspec.structs.replace(state, sent=(*sent, at)[-REQUESTS_PER_WINDOW:]))
        return wait_s

    def block(self, seconds: float, why: str) -> None:
        """Has no process send anything for so long, an hour at the most; never shortens what is there."""
        with self._locked():
            state, now = self._load(), self._now()
            self._store(self._blocked(state, now, seconds, why))

    def _blocked(self, state: TokenState, now: datetime, seconds: float, why: str) -> TokenState:
        until = now + min(timedelta(seconds=seconds), MAX_BLOCK)
        known = blocked_until(state, now)
        if known is not None and known >= until:
            return state
        return msgspec.structs.replace(state, blocked_until=until, blocked_why=why)

    def record_validation_failure(self, seconds: float, why: str) -> bool:
        """Notes an error that a new token or query may lead to; says whether it may be waited out once more."""
        with self._locked():
            state, now = self._load(), self._now()
            failures = state.validation_failures + 1
            self._store(msgspec.structs.replace(self._blocked(state, now, seconds, why), validation_failures=failures))
        return failures <= MAX_VALIDATION_FAILURES

    def record_refusal(self, code: int, why: str, hint: str | None, *, of_query: bool, is_lock: bool = False) -> None:
        """Has no process send anything with this token (or for this query); a refusal that stands keeps its time."""
        with self._locked():
            state = self._load()
            standing = standing_refusal(state, self._identity.query)
            if standing is not None and standing.is_lock and is_lock:
                return
            refusal = Refusal(
                at=self._now(),
                code=code,
                why=why,
                hint=hint,
                query=self._identity.query if of_query else None,
                is_lock=is_lock,
            )
            self._store(msgspec.structs.replace(state, refusal=refusal))

    def record_failure(self) -> timedelta:
        """Notes that statements did not come, or not of all days; returns for how long that has been so."""
        with self._locked():
            state, now = self._load(), self._now()
            since = state.failing_since or now
            self._store(msgspec.structs.replace(state, failing_since=since))
        return now - since

    def record_success(self) -> None:
        """Notes that token and query are good: what was refused before is over."""
        with self._locked():
            self._store(_without_refusal(self._load()))

    def record_covered(self) -> None:
        """Notes that statements of all days came."""
        with self._locked():
            self._store(msgspec.structs.replace(self._load(), failing_since=None))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            files.make_directory(self._path.parent, mode=0o700)
            with files.locked(self._lock, timeout_s=_LOCK_TIMEOUT_S):
                yield
        except OSError as error:
            raise self._output_error(error) from error

    def _output_error(self, error: OSError) -> OutputError:
        return OutputError(f"{self._path}: {error.strerror}", hint="Nothing was sent. Run as root.")

    def _load(self) -> TokenState:
        """Returns what is known of this token: of another one only what was sent."""
        state = self._read()
        if state.boot_id != self._boot_id:
            # They were sent before this boot, whose clock began at 0.
            state = msgspec.structs.replace(state, boot_id=self._boot_id, sent=(0.0,) * len(state.sent))
        fingerprint = self._fingerprint(state.salt)
        if state.fingerprint != fingerprint:
            state = TokenState(salt=state.salt, fingerprint=fingerprint, boot_id=state.boot_id, sent=state.sent)
        if (possible := without_future(state, self._now())) != state:
            # From now on they pass.
            self._store(possible)
        return possible

    def _read(self) -> TokenState:
        try:
            data = files.read_regular(self._path)
            if told := describe_other(data, TOKEN_STATE_SCHEMA):
                return self._lost(told)
            state = msgspec.json.decode(data, type=TokenState)
            bytes.fromhex(state.salt)
        except FileNotFoundError:
            if self._lock.stat().st_size:
                return self._lost("is missing, though requests were sent")
            return TokenState(salt=secrets.token_hex(16), boot_id=self._boot_id)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return self._lost("is damaged")
        return state

    def _lost(self, what: str) -> TokenState:
        """Returns what stands for a lost file, and keeps it: all requests were just sent, and the token is locked."""
        why = f"{self._path} {what}: nobody knows whether IBKR has locked the token"
        logger.warning("{}", why)
        salt = secrets.token_hex(16)
        state = TokenState(
            salt=salt,
            fingerprint=self._fingerprint(salt),
            boot_id=self._boot_id,
            sent=(self._clock(),) * REQUESTS_PER_WINDOW,
            refusal=Refusal(at=self._now(), code=0, why=why, hint=LOST_HINT, is_lock=True),
        )
        self._store(state)
        return state

    def _fingerprint(self, salt: str) -> str:
        token = self._identity.token.reveal().encode()
        return hmac.new(bytes.fromhex(salt), token, hashlib.sha256).digest()[:2].hex()

    def _store(self, state: TokenState) -> None:
        files.write_atomically(self._path, msgspec.json.encode(state) + b"\n", mode=_FILE_MODE)
        # Tells a file that is lost from one that was never there.
        os.truncate(self._lock, 1)
