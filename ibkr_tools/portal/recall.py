"""The last answer of a call that may not be made again yet: within IBKR's interval there is no fresher one."""

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ibkr_tools import files
from ibkr_tools.portal.endpoints import Endpoint
from ibkr_tools.portal.pacing import SAME_BOOT_S

SLOW_S = 60.0
"""Who asks an endpoint with at least this interval again gets what is remembered: the other answer would be to wait."""

_SHORTEST_S = 5.0
"""A shorter interval is waited for, not bridged."""

_PATIENCE_S = 60.0
"""Longer than a call waits for its turn and its answer."""

_USELESS_AFTER_S = 1800.0
"""Older files are older than any interval of IBKR's."""


@dataclass(frozen=True)
class Call:
    """One call: an endpoint, its path filled in, what is sent with it."""

    endpoint: Endpoint
    path: str
    query: dict[str, str] | None = None
    body: object = None

    @property
    def where(self) -> str:
        """Method and path, for messages."""
        return f"{self.endpoint.method} {self.path}"


class _Stamp(msgspec.Struct):
    """When an answer came (seconds of the monotonic clock), and when the machine was booted (Unix time)."""

    booted_at: float
    at_s: float


class Recall:
    """Answers in files that all processes of one IBKR user share: a line that says when, then the bytes as they came.

    The directory is the user's own, and the user is part of a file's name besides: a configuration may be changed
    within an interval.
    """

    def __init__(
        self,
        directory: Path,
        user: str,
        *,
        paper: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Prepares it; nothing is read yet.

        Args:
            directory: the runtime directory; members of its group may read the answers, others may not.
            user: the IBKR user's name.
            paper: whether it is the user's paper trading account.
            clock: seconds that never jump, the same for all processes of one boot.
            wall: Unix time.
        """
        self._directory = directory
        self._whose = [user, paper]
        self._clock = clock
        self._wall = wall

    def _file(self, call: Call) -> Path:
        said = [self._whose, call.where, call.query or {}, call.body]
        digest = hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()[:32]
        return self._directory / f"answer-{call.endpoint.name}-{digest}"

    def begin(self, call: Call) -> None:
        """Has others who want to make the same call wait for this one's answer, until `store` or `forget`."""
        self.store(call, b"")

    def store(self, call: Call, answer: bytes) -> None:
        """Remembers an answer as it came, if the endpoint has an interval worth bridging.

        Where it cannot be written, the next process has to wait its turn.
        """
        if call.endpoint.interval_s < _SHORTEST_S:
            return
        now_s = self._clock()
        stamp = msgspec.json.encode(_Stamp(self._wall() - now_s, now_s))
        with suppress(OSError):
            self._forget_old_ones()
            files.write_atomically(self._file(call), stamp + b"\n" + answer, mode=0o640, durable=False)

    def forget(self, call: Call) -> None:
        """Remembers nothing of it: it has failed."""
        with suppress(OSError):
            self._file(call).unlink(missing_ok=True)

    def _forget_old_ones(self) -> None:
        # Those with a dot are of writers that were killed.
        for file in (*self._directory.glob("answer-*"), *self._directory.glob(".answer-*")):
            # Of a file that another process has just removed there is nothing left to remove.
            with suppress(FileNotFoundError):
                if abs(time.time() - file.stat().st_mtime) > _USELESS_AFTER_S:
                    file.unlink()

    def _read(self, call: Call, young_s: float) -> tuple[bytes, float] | None:
        try:
            head, _, answer = self._file(call).read_bytes().partition(b"\n")
            stamp = msgspec.json.decode(head, type=_Stamp)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        now_s = self._clock()
        same_boot = abs(stamp.booted_at - (self._wall() - now_s)) < SAME_BOOT_S
        young = 0.0 <= now_s - stamp.at_s < young_s
        return (answer, now_s - stamp.at_s) if same_boot and young else None

    def load(self, call: Call) -> tuple[bytes, float] | None:
        """Returns the bytes of the same call's answer and their age in seconds, if IBKR's interval has not passed.

        None where nothing is remembered, or what is there is damaged or of another boot.
        """
        known = self._read(call, call.endpoint.interval_s)
        return known if known and known[0] else None

    def is_under_way(self, call: Call) -> bool:
        """Says whether somebody is making the same call now; who has not come back for a minute has died."""
        known = self._read(call, _PATIENCE_S)
        return known is not None and not known[0]
