"""A cache of answers, shared by all processes: within IBKR's interval the same request may not be sent again."""

import hashlib
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from ibkr_tools import files
from ibkr_tools.boot_id import read_boot_id
from ibkr_tools.portal.endpoints import Endpoint

ALWAYS_CACHED_INTERVAL_S = 60.0
"""An endpoint with at least this interval is always answered from the cache: the alternative is to wait."""

_MIN_CACHED_INTERVAL_S = 5.0
"""An endpoint with a shorter interval is never cached: a request waits for the interval."""

_PENDING_TIMEOUT_S = 60.0
"""A pending mark that is older is of a process that has died: no request waits so long for its time and its answer."""

_FILE_RETENTION_S = 1800.0
"""Older files are removed: no interval of IBKR's is as long."""


class ApiRequest(msgspec.Struct, frozen=True):
    """One request: an endpoint, its path filled in, what is sent with it. The key of the cache."""

    endpoint: Endpoint
    path: str
    query: dict[str, str] | None = None
    body: object = None

    @property
    def where(self) -> str:
        """Method and path, for messages."""
        return f"{self.endpoint.method} {self.path}"


class _Stamp(msgspec.Struct):
    """When an answer came (seconds of the monotonic clock), and in which boot of the machine."""

    boot_id: str
    at_s: float


_MAX_FILE_BYTES = 64 * 2**20
"""More than any answer has."""


def _is_owned(directory: Path) -> bool:
    """Says whether this user owns `directory`: the owner of another one may have forged what is in it."""
    try:
        entry = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(entry.st_mode) and entry.st_uid == os.geteuid()


class ResponseCache:
    """Answers in files that the processes of one IBKR user share: a line that says when, then the bytes as they came.

    A process that may write the units' directory does so; a member of the group reads there, and writes a private
    directory, which nobody else reads. The IBKR user is part of a file's name: the configuration may change within an
    interval.
    """

    def __init__(
        self,
        directory: Path,
        user: str,
        *,
        fallback: Path | None = None,
        paper: bool = False,
        clock: Callable[[], float] = time.monotonic,
        boot_id: Callable[[], str] = read_boot_id,
    ) -> None:
        """Prepares it; nothing is read yet.

        Args:
            directory: the units'; members of its group may read the answers, others may not.
            fallback: the private directory of a member, who may not write `directory`; None: there are no members.
            user: the IBKR user's name.
            paper: whether it is the user's paper trading account.
            clock: seconds that never jump, the same for all processes of one boot.
            boot_id: which boot `clock` is of.
        """
        self._shared_directory = self._directory = directory
        if fallback is not None and not files.is_writable(directory):
            self._directory = fallback
        self._user = [user, paper]
        self._clock = clock
        self._boot_id = boot_id()

    def _file_name(self, request: ApiRequest) -> str:
        key = [self._user, request.where, request.query or {}, request.body]
        digest = hashlib.sha256(msgspec.json.encode(key, order="sorted")).hexdigest()[:32]
        return f"answer-{request.endpoint.name}-{digest}"

    def mark_pending(self, request: ApiRequest) -> None:
        """Has others who want to send the same request wait for this one's answer, until `put` or `delete`."""
        self.put(request, b"")

    def put(self, request: ApiRequest, answer: bytes) -> None:
        """Stores an answer as it came, if the endpoint has an interval worth caching.

        Where it cannot be written, the next process has to wait for the interval.
        """
        if request.endpoint.interval_s < _MIN_CACHED_INTERVAL_S:
            return
        now_s = self._clock()
        stamp = msgspec.json.encode(_Stamp(self._boot_id, now_s))
        with suppress(OSError):
            files.make_directory(self._directory, mode=0o750)
            if _is_owned(self._directory):
                self._delete_old_files()
                path = self._directory / self._file_name(request)
                files.write_atomically(path, stamp + b"\n" + answer, mode=0o640, fsync=False)

    def delete(self, request: ApiRequest) -> None:
        """Removes the entry, or the pending mark of a request that failed."""
        with suppress(OSError):
            if _is_owned(self._directory):
                (self._directory / self._file_name(request)).unlink(missing_ok=True)

    def _delete_old_files(self) -> None:
        # Names with a dot are temporary files of writers that were killed.
        for file in (*self._directory.glob("answer-*"), *self._directory.glob(".answer-*")):
            # Another process may have removed the file meanwhile.
            with suppress(FileNotFoundError):
                if abs(time.time() - file.lstat().st_mtime) > _FILE_RETENTION_S:
                    file.unlink()

    def _read(self, request: ApiRequest, max_age_s: float) -> tuple[bytes, float] | None:
        entries = [self._read_in(self._shared_directory, request, max_age_s)]
        if self._directory != self._shared_directory and _is_owned(self._directory):
            entries.append(self._read_in(self._directory, request, max_age_s))
        return min((entry for entry in entries if entry), key=lambda entry: entry[1], default=None)

    def _read_in(self, directory: Path, request: ApiRequest, max_age_s: float) -> tuple[bytes, float] | None:
        try:
            data = files.read_regular(directory / self._file_name(request), _MAX_FILE_BYTES)
            head, _, answer = data.partition(b"\n")
            stamp = msgspec.json.decode(head, type=_Stamp)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        now_s = self._clock()
        is_fresh = 0.0 <= now_s - stamp.at_s < max_age_s
        return (answer, now_s - stamp.at_s) if is_fresh and stamp.boot_id == self._boot_id else None

    def get(self, request: ApiRequest) -> tuple[bytes, float] | None:
        """Returns the bytes of the same request's answer and their age in seconds, if IBKR's interval has not passed.

        None where there is no entry, or one that is damaged or of another boot.
        """
        entry = self._read(request, request.endpoint.interval_s)
        return entry if entry and entry[0] else None

    def is_pending(self, request: ApiRequest) -> bool:
        """Says whether another process is sending the same request now; one that takes over a minute has died."""
        entry = self._read(request, _PENDING_TIMEOUT_S)
        return entry is not None and not entry[0]
