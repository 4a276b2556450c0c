"""Tables for people: the one set of views that `fetch --table`, `show` and `api --table` have.

A view is made of a snapshot, so that the same document looks the same whoever prints it. Lists without a view of their
own, answers by a raw path and the outputs of jq are shown by one generic table.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ibkr_tools.fetch.formats import Rows
    from ibkr_tools.fetch.saved import Snapshot

__all__ = ["view", "view_of_rows"]


def view(snapshot: "Snapshot", resource: str, *, everything: bool = False, width: int | None = None) -> str:
    """Returns the table of one part of a snapshot, without a newline at its end; what is no list, as indented JSON.

    Args:
        snapshot: with all its parts: what a position weighs is in others.
        resource: the part.
        everything: all rows and columns.
        width: how many columns the terminal has; None: it is printed elsewhere.

    Raises:
        DataError: the part has a shape of which no table can be made.
        UsageError: it is about other accounts than those of the snapshot.
    """
    # Only the module that is needed is loaded.
    match resource:
        case "positions" | "positions2" | "position" | "positions_by_conid":
            from ibkr_tools.views import positions

            return positions.view(snapshot.holdings(resource), everything=everything, width=width)
        case "summary":
            from ibkr_tools.views import summary

            return summary.view(snapshot, everything=everything, width=width)
        case "ledger":
            from ibkr_tools.views import ledger

            return ledger.view(snapshot, everything=everything, width=width)
        case "allocation" | "consolidated_allocation":
            from ibkr_tools.views import allocation

            return allocation.view(snapshot, resource, everything=everything, width=width)
        case "performance":
            from ibkr_tools.views import performance

            return performance.view(snapshot, everything=everything, width=width)
        case "periods":
            from ibkr_tools.views import performance

            return performance.periods(snapshot, width=width)
        case _:
            return _listed(snapshot, resource, everything=everything, width=width)


def _listed(snapshot: "Snapshot", resource: str, *, everything: bool, width: int | None) -> str:
    import msgspec

    from ibkr_tools.errors import UsageError
    from ibkr_tools.fetch.formats import snapshot_rows
    from ibkr_tools.views import lists

    try:
        rows = snapshot_rows(snapshot.encode(), resource)
    except UsageError:
        return msgspec.json.format(snapshot.part(resource), indent=2).decode()
    return lists.view(rows, everything=everything, width=width)


def view_of_rows(rows: "Rows", *, everything: bool = False, width: int | None = None) -> str:
    """Returns the table of rows that are of no snapshot: one answer of IBKR, or the outputs of a jq program."""
    if rows.name in {"positions", "positions2", "position", "positions_by_conid"}:
        from ibkr_tools.fetch.holdings import holdings_of_rows
        from ibkr_tools.views import positions

        return positions.view(holdings_of_rows(rows), everything=everything, width=width)
    from ibkr_tools.views import lists

    return lists.view(rows, everything=everything, width=width)
