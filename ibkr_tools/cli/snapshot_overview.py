"""What is in a snapshot, how old it is, and which copies there are."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ibkr_tools.cli.durations import format_duration
from ibkr_tools.fetch.snapshot import Snapshot
from ibkr_tools.fetch.snapshot_document import SnapshotMetadata
from ibkr_tools.fetch.snapshot_store import DatedCopy, describe_copies
from ibkr_tools.views.text_table import Column, format_table

_MAX_ACCOUNTS = 5
_MINUTE_FORMAT = "%Y-%m-%d %H:%M"


def age_line(taken: datetime, accounts: Sequence[str], now: datetime) -> str:
    """Returns the last line of every table: how old it is, and whose."""
    seconds = (now - taken).total_seconds()
    # The clock may have been set back meanwhile.
    ago = f"{format_duration(seconds)} ago" if seconds >= 0 else "in the future by this machine's clock"
    shown = ", ".join(accounts[:_MAX_ACCOUNTS]) + (
        f" and {len(accounts) - _MAX_ACCOUNTS} more" if len(accounts) > _MAX_ACCOUNTS else ""
    )
    noun = "account" if len(accounts) == 1 else "accounts"
    return f"saved {ago}, {taken:{_MINUTE_FORMAT}} UTC; {noun} {shown or 'none'}"


def missing_lines(covers: SnapshotMetadata) -> list[str]:
    """Returns a line for each account and part that was asked for and did not come."""
    missing = [(f"account {name}", why) for name, why in covers.missing_accounts.items()]
    return [f"without {name}: {why}" for name, why in [*missing, *covers.missing.items()]]


def _size(payload: Any, accounts: Sequence[str]) -> str:
    match payload:
        case list():
            return f"{len(payload)} {'row' if len(payload) == 1 else 'rows'}"
        case dict() if payload and set(payload) <= set(accounts):
            return f"{len(payload)} {'account' if len(payload) == 1 else 'accounts'}"
        case _:
            return ""


def snapshot_table(snapshot: Snapshot, copies: Sequence[DatedCopy]) -> str:
    """Returns a table of the parts, and a line about the copies."""
    rows = [
        [name, _size(snapshot[name], snapshot.covers.accounts), f"{snapshot.part_as_of(name):{_MINUTE_FORMAT}}"]
        for name in snapshot
    ]
    lines = [format_table([Column("Part", is_text=True), Column(""), Column("As of (UTC)", is_text=True)], rows)]
    if copies:
        lines.append(f"{describe_copies(copies)} UTC: --at DATE, --list")
    return "\n".join(lines)
