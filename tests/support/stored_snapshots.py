"""Small snapshots, and what is in a folder of saved ones."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ibkr_tools.fetch.snapshot_document import SnapshotDocument, SnapshotMetadata

__all__ = ["DAY", "NOON", "document", "names", "said"]

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def document(text: str = "x", *, times: int = 1) -> SnapshotDocument:
    """Returns a snapshot with one part that says `text`."""
    parts = b'"user":["' + text.encode() * times + b'"]'
    return SnapshotDocument(
        as_of=NOON,
        account="U1234567",
        covers=SnapshotMetadata(accounts=("U1234567",), resources=("user",)),
        parts=parts,
    )


def names(folder: Path) -> list[str]:
    """Lists what a person sees in `folder`, and what is hidden."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def said(data: bytes) -> str:
    """Returns what the snapshot says."""
    text = json.loads(data)["user"][0]
    assert isinstance(text, str)
    return text
