"""The finished snapshot: IBKR's own bytes in our envelope; where there is a lot, in a file without a name."""

import io
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any

import msgspec

from ibkr_tools.errors import OutputError

SCHEMA = 1

KEPT_IN_MEMORY = 2 * 1024 * 1024
"""In bytes; some 2,000 positions. What is longer goes to a file."""

_CHUNK = 256 * 1024


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"a temporary file: {error.strerror}", hint="TMPDIR names another place.") from error


class Spool:
    """Bytes in the order they were added."""

    def __init__(self) -> None:
        self._file: IO[bytes] = io.BytesIO()
        self._in_memory = True
        self.size = 0

    def add(self, data: bytes) -> None:
        """Adds some.

        Raises:
            OutputError: no space in the directory for temporary files.
        """
        with _told():
            if self._in_memory and self.size + len(data) > KEPT_IN_MEMORY:
                self._move()
            self._file.write(data)
        self.size += len(data)

    def _move(self) -> None:
        import tempfile

        file = tempfile.TemporaryFile(buffering=_CHUNK)  # noqa: SIM115 - it lives as long as this
        weakref.finalize(self, file.close)
        for chunk in self.chunks():
            file.write(chunk)
        self._file, self._in_memory = file, False

    def cut(self, size: int) -> None:
        """Forgets what was added after there were `size` bytes.

        Raises:
            OutputError: see `add`; what was added may be written only now.
        """
        with _told():
            self._file.seek(size)
            self._file.truncate()
        self.size = size

    def chunks(self) -> Iterator[bytes]:
        """Yields all of it, in pieces.

        Raises:
            OutputError: see `cut`.
        """
        at = 0
        while at < self.size:
            with _told():
                self._file.seek(at)
                chunk = self._file.read(min(_CHUNK, self.size - at))
            at += len(chunk)
            yield chunk


class Covers(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What a snapshot covers.

    `accounts` are those asked for, `resources` the parts in their order, `parameters` what was given with them, `fresh`
    whether positions are from past IBKR's cache. `parts_at` says when the answers of each part came; the oldest one
    counts. `remembered` has the age in seconds of what IBKR may not be asked for again yet. `unexpected` says where
    something had a shape that nobody knew; it is in the snapshot as it came. `missing` says why a supplementary part is
    not in it, `missing_accounts` why one of the accounts is not. `short_rows` counts, by part, the positions that lack
    their contract's details. `subaccounts_not_asked` is how many more accounts an advisor has.
    """

    accounts: tuple[str, ...]
    resources: tuple[str, ...]
    parameters: dict[str, str] = {}
    fresh: bool = False
    parts_at: dict[str, str] = {}
    remembered: dict[str, float] = {}
    unexpected: tuple[str, ...] = ()
    missing: dict[str, str] = {}
    missing_accounts: dict[str, str] = {}
    short_rows: dict[str, int] = {}
    subaccounts_not_asked: int = 0


class Document:
    """One complete snapshot as compact JSON: keys in the order they came, numbers as IBKR wrote them."""

    def __init__(self, *, as_of: datetime, account: str, covers: Covers, parts: Spool) -> None:
        """Puts the envelope around the parts.

        Args:
            as_of: when the last answer came, aware, in UTC.
            account: the account of the configuration.
            covers: what is in it.
            parts: members of a JSON object, each `"name":value`, with commas between them.
        """
        self.as_of = as_of
        self.covers = covers
        envelope = {
            "schema": SCHEMA,
            "as_of": as_of.isoformat(timespec="seconds"),
            "account": account,
            "covers": covers,
        }
        self._head = msgspec.json.encode(envelope).removesuffix(b"}")
        self._parts = parts

    def chunks(self) -> Iterator[bytes]:
        """Yields the JSON in pieces, so that a file can be written without holding all of it."""
        yield self._head
        if self._parts.size:
            yield b","
        yield from self._parts.chunks()
        yield b"}"

    def encode(self) -> bytes:
        """Returns the JSON."""
        return b"".join(self.chunks())

    def decode(self) -> dict[str, Any]:
        """Returns the snapshot as Python objects; numbers with a point become floats."""
        decoded: dict[str, Any] = msgspec.json.decode(self.encode())
        return decoded
