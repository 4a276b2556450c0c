"""Tables for people: the one set of views that `fetch --table`, `show` and `api --table` have.

A view formats a snapshot, so that all commands show the same document alike. Lists without a view of their own,
answers by a raw path and the outputs of jq are shown by one generic table.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ibkr_tools.fetch.formats import Rows
    from ibkr_tools.fetch.snapshot import Snapshot

__all__ = ["format_resource", "format_rows"]


def format_resource(
    snapshot: "Snapshot",
    resource: str,
    *,
    everything: bool = False,
    width: int | None = None,
    most: int | None = None,
) -> str:
    """Returns the table of one part of a snapshot, without a newline at its end; what is no list, as indented JSON.

    Args:
        snapshot: with all its parts: what a position weighs is in others.
        resource: the part.
        everything: all rows and columns.
        width: how many columns the terminal has; None: it is printed elsewhere.
        most: how many positions are shown, the largest; None: all.

    Raises:
        DataError: the part has a shape of which no table can be made.
        UsageError: it is about other accounts than those of the snapshot.
    """
    # Only the module that is needed is loaded.
    match resource:
        case "positions" | "positions2" | "position" | "positions_by_conid":
            from ibkr_tools.views import positions_table

            return positions_table.format_positions(
                snapshot.holdings(resource), everything=everything, width=width, most=most
            )
        case "summary":
            from ibkr_tools.views import summary_table

            return summary_table.format_summary(snapshot, everything=everything, width=width)
        case "ledger":
            from ibkr_tools.views import ledger_table

            return ledger_table.format_ledger(snapshot, everything=everything, width=width)
        case "allocation" | "consolidated_allocation":
            from ibkr_tools.views import allocation_table

            return allocation_table.format_allocation(snapshot, resource, everything=everything, width=width)
        case "performance":
            from ibkr_tools.views import performance_table

            return performance_table.format_performance(snapshot, everything=everything, width=width)
        case "periods":
            from ibkr_tools.views import performance_table

            return performance_table.format_periods(snapshot, width=width)
        case _:
            return _format_list(snapshot, resource, everything=everything, width=width)


def _format_list(snapshot: "Snapshot", resource: str, *, everything: bool, width: int | None) -> str:
    import msgspec

    from ibkr_tools.errors import UsageError
    from ibkr_tools.fetch.formats import snapshot_rows
    from ibkr_tools.views import record_table

    try:
        rows = snapshot_rows(snapshot.encode(), resource)
    except UsageError:
        return msgspec.json.format(snapshot.part(resource), indent=2).decode()
    return record_table.format_records(rows, everything=everything, width=width)


def format_rows(rows: "Rows", *, everything: bool = False, width: int | None = None) -> str:
    """Returns the table of rows that are of no snapshot: one answer of IBKR, or the outputs of a jq program."""
    if rows.name in {"positions", "positions2", "position", "positions_by_conid"}:
        from ibkr_tools.fetch.holdings import parse_holdings
        from ibkr_tools.views import positions_table

        return positions_table.format_positions(
            parse_holdings(rows.exact(), rows.name), everything=everything, width=width
        )
    from ibkr_tools.views import record_table

    return record_table.format_records(rows, everything=everything, width=width)
