"""The document of a complete snapshot: IBKR's own bytes in our envelope."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from ibkr_tools.portal.json_decoder import decode_json

SNAPSHOT_SCHEMA = 1

_DOCUMENT_CHUNK_BYTES = 256 * 1024


class SnapshotMetadata(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What a snapshot covers.

    `accounts` are those asked for, `resources` the parts in their order, `parameters` what was given with them, `fresh`
    whether positions are from past IBKR's cache. `parts_at` says when the answers of each part came; the oldest one
    counts. `remembered` has the age in seconds of what IBKR may not be asked for again yet. `unexpected` says where
    something had an unknown shape; it is in the snapshot as it came. `missing` says why a supplementary part is
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


class SnapshotDocument:
    """One complete snapshot as compact JSON: keys in the order they came, numbers as IBKR wrote them."""

    def __init__(self, *, as_of: datetime, account: str, covers: SnapshotMetadata, parts: bytes) -> None:
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
            "schema": SNAPSHOT_SCHEMA,
            "as_of": as_of.isoformat(timespec="seconds"),
            "account": account,
            "covers": covers,
        }
        self._head = msgspec.json.encode(envelope).removesuffix(b"}")
        self._parts = parts

    def chunks(self) -> Iterator[bytes]:
        """Yields the JSON in pieces, so that whoever writes it needs no copy of all of it."""
        yield self._head
        if self._parts:
            yield b","
        for start in range(0, len(self._parts), _DOCUMENT_CHUNK_BYTES):
            yield self._parts[start : start + _DOCUMENT_CHUNK_BYTES]
        yield b"}"

    def encode(self) -> bytes:
        """Returns the JSON."""
        return b"".join(self.chunks())

    def decode(self) -> dict[str, Any]:
        """Returns the snapshot as Python objects; numbers with a point become floats."""
        decoded: dict[str, Any] = decode_json(self.encode())
        return decoded
