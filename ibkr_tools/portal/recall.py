"""The last answer of a call that may not be made again yet: within IBKR's interval there is no fresher one."""

import hashlib
import os
import stat
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


LARGEST_ANSWER = 64 * 2**20
"""More than any answer has, in bytes."""


def _is_our_own(directory: Path) -> bool:
    """Says whether `directory` is one that we have made: what stands in somebody else's is what he wants us to read."""
    try:
        entry = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(entry.st_mode) and entry.st_uid == os.geteuid()


class Recall:
    """Answers in files that the processes of one IBKR user share: a line that says when, then the bytes as they came.

    Whoever may write the units' directory remembers there; a member of the group reads there, and remembers in a
    directory of his own, which is nobody else's business. The IBKR user is part of a file's name besides: a
    configuration may be changed within an interval.
    """

    def __init__(
        self,
        directory: Path,
        user: str,
        *,
        own: Path | None = None,
        paper: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Prepares it; nothing is read yet.

        Args:
            directory: the units'; members of its group may read the answers, others may not.
            own: where a member remembers, who may not write there; None: nobody but the units is there.
            user: the IBKR user's name.
            paper: whether it is the user's paper trading account.
            clock: seconds that never jump, the same for all processes of one boot.
            wall: Unix time.
        """
        self._units = self._directory = directory
        if own is not None and not files.is_writable(directory):
            self._directory = own
        self._whose = [user, paper]
        self._clock = clock
        self._wall = wall

    def _name(self, call: Call) -> str:
        said = [self._whose, call.where, call.query or {}, call.body]
        digest = hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()[:32]
        return f"answer-{call.endpoint.name}-{digest}"

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
            files.make_directory(self._directory, mode=0o750)
            if _is_our_own(self._directory):
                self._forget_old_ones()
                path = self._directory / self._name(call)
                files.write_atomically(path, stamp + b"\n" + answer, mode=0o640, durable=False)

    def forget(self, call: Call) -> None:
        """Remembers nothing of it: it has failed."""
        with suppress(OSError):
            if _is_our_own(self._directory):
                (self._directory / self._name(call)).unlink(missing_ok=True)

    def _forget_old_ones(self) -> None:
        # Those with a dot are of writers that were killed.
        for file in (*self._directory.glob("answer-*"), *self._directory.glob(".answer-*")):
            # Of a file that another process has just removed there is nothing left to remove.
            with suppress(FileNotFoundError):
                if abs(time.time() - file.lstat().st_mtime) > _USELESS_AFTER_S:
                    file.unlink()

    def _read(self, call: Call, young_s: float) -> tuple[bytes, float] | None:
        found = [self._read_in(self._units, call, young_s)]
        if self._directory != self._units and _is_our_own(self._directory):
            found.append(self._read_in(self._directory, call, young_s))
        return min((one for one in found if one), key=lambda one: one[1], default=None)

    def _read_in(self, directory: Path, call: Call, young_s: float) -> tuple[bytes, float] | None:
        try:
            data = files.read_regular(directory / self._name(call), LARGEST_ANSWER)
            head, _, answer = data.partition(b"\n")
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
