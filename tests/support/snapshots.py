"""Saved snapshots of the simulator's accounts, made without a request."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ibkr_tools.fetch import snapshot_store
from ibkr_tools.fetch.snapshot import Snapshot
from ibkr_tools.fetch.snapshot_document import SnapshotDocument, SnapshotMetadata
from ibkr_tools.simulator import account_numbers, performance_data
from ibkr_tools.simulator.json_encoding import encode
from ibkr_tools.simulator.odd_positions import shaped
from ibkr_tools.simulator.settings import BaseCurrency, Oddity
from ibkr_tools.simulator.simulated_accounts import Account

__all__ = ["document_of", "save_simulated", "simulated", "snapshot_of"]


def document_of(parts: Mapping[str, bytes], accounts: tuple[str, ...], as_of: datetime) -> SnapshotDocument:
    """Returns a document of these parts, each the JSON of one resource."""
    members = b",".join(b'"' + name.encode() + b'":' + raw for name, raw in parts.items())
    covers = SnapshotMetadata(accounts=accounts, resources=tuple(parts))
    return SnapshotDocument(as_of=as_of, account="U1234567", covers=covers, parts=members)


def _raw(value: Any) -> msgspec.Raw:
    # The simulator spells some of its answers itself.
    return msgspec.Raw(value if isinstance(value, bytes) else encode(value))


def snapshot_of(parts: Mapping[str, Any], accounts: tuple[str, ...] = ("U1",)) -> Snapshot:
    """Returns a snapshot of these parts, given as Python values; bytes are JSON already."""
    raws = {name: bytes(_raw(value)) for name, value in parts.items()}
    return Snapshot(document_of(raws, accounts, datetime(2026, 11, 22, 12, tzinfo=UTC)).encode())


def simulated(
    as_of: datetime,
    *,
    accounts: int = 1,
    positions: int = 12,
    oddities: tuple[Oddity, ...] = (),
    bases: tuple[BaseCurrency, ...] = ("EUR",),
) -> SnapshotDocument:
    """Returns what a fetch of the simulator's accounts would give."""
    now = as_of.timestamp()
    names = account_numbers("U1234567", accounts)
    held = [
        shaped(Account(name, seed=1, count=positions, index=index), oddities, bases[index % len(bases)])
        for index, name in enumerate(names)
    ]
    parts = {
        "accounts": [one.record() for one in held],
        "summary": {one.account_id: _raw(one.summary(now)) for one in held},
        "ledger": {one.account_id: _raw(one.ledger(now)) for one in held},
        "allocation": {one.account_id: _raw(one.allocation()) for one in held},
        "positions": [row for one in held for row in one.long_rows],
        "performance": performance_data.performance(held, "1Y", now),
        "periods": performance_data.all_periods(held, now),
    }
    return document_of({name: bytes(_raw(value)) for name, value in parts.items()}, names, as_of)


def save_simulated(directory: Path, as_of: datetime, **options: Any) -> Path:
    """Saves it as `fetch --save` would."""
    return snapshot_store.save(directory, simulated(as_of, **options), 30, as_of)
