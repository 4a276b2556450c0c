"""The tables of `ibkr-tools history`: those of `returns` have a module of their own."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from ibkr_tools.history.summary import Cell
from ibkr_tools.number_format import format_amount, format_price, format_quantity, single_line
from ibkr_tools.views.text_table import Column, count_shown, format_count, format_table

__all__ = ["format_base_currencies", "format_history"]

IN_BASE = "in_base"
"""The column of amounts in the account's base currency."""

_QUANTITY_DECIMALS = 4
"""IBKR's quantities have no more; a net asset value, which stands in the same column, may have twenty."""


def _format_compared(number: Decimal) -> str:
    """Returns a quantity, or a net asset value."""
    exponent = number.normalize().as_tuple().exponent
    is_amount = isinstance(exponent, int) and -exponent > _QUANTITY_DECIMALS
    return format_amount(number) if is_amount else format_quantity(number)


_WRITE: dict[str, Callable[[Decimal], str]] = {
    "quantity": format_quantity,
    "price": format_price,
    "bookings": format_quantity,
    "statement": _format_compared,
    "snapshot": _format_compared,
}
"""How the numbers of a column are written; those of any other are amounts of money."""

_LEFT_OUT_FIRST = (
    "transaction_id",
    "commission_currency",
    "conid",
    "model",
    "settles_on",
    "taxes",
    "notes",
    "as_of",
    "asset_class",
    "time",
    "type",
    "cost",
    "account",
    "source",
    "commission",
    "realized",
    "unrealized",
    "description",
)
"""Columns that a narrow terminal goes without, in this order."""


def format_history(rows: Sequence[Mapping[str, Cell]], *, base_currencies: str = "", width: int | None = None) -> str:
    """Returns the rows as a table of the columns that have something in them, and a line about the table.

    Args:
        rows: of the same keys.
        base_currencies: which ones `in_base` is in; see `format_base_currencies`.
        width: how many columns the terminal has; None: the table may be as wide as it wants.
    """
    titles = list(rows[0]) if rows else []
    cells = {title: [_cell(title, row[title]) for row in rows] for title in titles}
    used = [title for title in titles if any(cells[title])]
    columns = [
        Column(_heading(title), is_text=not any(isinstance(row[title], Decimal) for row in rows)) for title in used
    ]
    # Of one account alone its number says nothing in each line.
    is_one_account = len({row.get("account") for row in rows}) == 1
    optional = [_heading(title) for title in _LEFT_OUT_FIRST if title != "account" or is_one_account]
    body = list(zip(*(cells[title] for title in used), strict=True))
    table = format_table(columns, body, width=width, leave_out=optional)
    notes = [format_count(len(rows), "row")]
    if base_currencies and IN_BASE in used:
        notes.append(f"base currency {base_currencies}")
    if len(used) < len(titles):
        shown = count_shown(columns, body, width=width, leave_out=optional)
        notes.append(f"{shown} of {len(titles)} columns, --format csv has all")
    return "\n".join([*([table] if table else []), "; ".join(notes)])


def format_base_currencies(currencies: Sequence[tuple[str, str]]) -> str:
    """Returns the base currency of all accounts, or that of each one.

    Args:
        currencies: pairs of an account and its currency; an account that has changed it is there more than once.
    """
    if len({currency for _, currency in currencies}) == 1:
        return currencies[0][1]
    return ", ".join(f"{currency} ({account})" for account, currency in currencies)


def _heading(title: str) -> str:
    """Returns what stands over a column, as over those of other tables: `In base` for `in_base`."""
    return title[:1].upper() + title[1:].replace("_", " ")


def _cell(title: str, value: Cell) -> str:
    if isinstance(value, Decimal):
        return _WRITE.get(title, format_amount)(value)
    return single_line(value)
