"""What of a saved snapshot is kept for ever: what the accounts are worth, without their positions. Pure."""

from ibkr_tools.fetch.snapshot import Snapshot

VALUE_RESOURCES = ("accounts", "summary", "ledger", "periods", "performance")
"""Parts that say what an account is worth, or was: a few kilobytes, packed."""

_DESCRIBING = frozenset({"accounts"})


def extract_values(snapshot: Snapshot) -> Snapshot | None:
    """Returns a snapshot of the parts that say what the accounts are worth; None: it has none of them."""
    names = [name for name in snapshot if name in VALUE_RESOURCES]
    return snapshot.narrowed(names) if set(names) - _DESCRIBING else None


def choose_extract(kept: Snapshot | None, later: Snapshot) -> Snapshot:
    """Returns which of two extracts of a day counts: the later one, unless it lacks a part or an account."""
    if kept is None or (set(kept) <= set(later) and set(kept.covers.accounts) <= set(later.covers.accounts)):
        return later
    return kept
