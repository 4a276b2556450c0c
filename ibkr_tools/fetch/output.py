"""Where a result goes: standard output, a file replaced in one step, the state directory, or a table for people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ibkr_tools import files
from ibkr_tools.errors import DataError, OutputError

LATEST = "latest.json"


def write_file(path: Path, text: str | bytes, *, mode: int = 0o600) -> None:
    """Replaces `path`.

    Raises:
        OutputError: no space, no permission, no such directory; the old file is intact.
    """
    data = text.encode() if isinstance(text, str) else text
    try:
        files.write_atomically(path, data, mode=mode)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}", hint="The file that was there before is intact.") from error


def save(directory: Path, document: bytes) -> Path:
    """Stores the snapshot as `latest.json`, readable by the service's group, and returns its path.

    Raises:
        OutputError: it could not be written; the old snapshot is intact.
    """
    try:
        files.make_directory(directory, mode=0o750)
    except OSError as error:
        raise OutputError(f"{directory}: {error.strerror}") from error
    path = directory / LATEST
    write_file(path, msgspec.json.format(document, indent=1) + b"\n", mode=0o640)
    return path


_COLUMNS = (
    ("Account", "acctId", False),
    ("Position", "contractDesc", False),
    ("Class", "assetClass", False),
    ("Quantity", "position", True),
    ("Price", "mktPrice", True),
    ("Value", "mktValue", True),
    ("Unrealized P&L", "unrealizedPnl", True),
    ("Currency", "currency", False),
)


def _cell(value: object, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return f"{value:,.2f}" if name != "position" else f"{value:,.8f}".rstrip("0").rstrip(".")
    return " ".join(str(value).split())


def positions_table(rows: Sequence[dict[str, Any]], *, most: int | None = None) -> str:
    """Returns positions as a text table, largest value first, with a total per currency.

    Raises:
        DataError: there are no positions in the document.
    """
    if not all(isinstance(row, dict) for row in rows):
        raise DataError("positions: rows that are not objects cannot be shown as a table")

    def value(row: dict[str, Any]) -> float:
        amount = row.get("mktValue")
        return float(amount) if isinstance(amount, int | float) else 0.0

    ordered = sorted(rows, key=lambda row: abs(value(row)), reverse=True)
    shown = ordered if most is None else ordered[:most]
    lines = [[title for title, _, _ in _COLUMNS]]
    lines += [[_cell(row.get(name), name) for _, name, _ in _COLUMNS] for row in shown]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]

    def layout(cells: Sequence[str]) -> str:
        parts = (
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, (_, _, numeric) in zip(cells, widths, _COLUMNS, strict=True)
        )
        return "  ".join(parts).rstrip()

    text = [layout(lines[0]), "  ".join("─" * width for width in widths), *(layout(line) for line in lines[1:])]
    if len(shown) < len(ordered):
        text.append(f"… and {len(ordered) - len(shown)} more")
    totals: dict[str, float] = {}
    for row in rows:
        currency = str(row.get("currency") or "?")
        totals[currency] = totals.get(currency, 0.0) + value(row)
    stated = ", ".join(f"{total:,.2f} {currency}" for currency, total in sorted(totals.items()))
    noun = "position" if len(rows) == 1 else "positions"
    text.append(f"{len(rows)} {noun}" + (f"; market value {stated}" if stated else ""))
    return "\n".join(text)
