"""The table of positions: largest first, what is value and what is exposure, totals and what they are without."""

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from ibkr_tools.fetch.asset_classes import PositionRole
from ibkr_tools.fetch.columns import COLUMN_ALIASES
from ibkr_tools.fetch.holdings import BaseCurrencyTotal, Holding, Holdings, describe_missing
from ibkr_tools.fetch.reconciliation import Reconciliation
from ibkr_tools.number_format import (
    ZERO,
    format_amount,
    format_percent,
    format_price,
    format_quantity,
    format_unparsed,
    single_line,
    truncate,
)
from ibkr_tools.views.text_table import Column, format_count, format_table

__all__ = ["format_positions"]

MAX_NON_OBJECT_WIDTH = 40

ALL_COMMAND = "ibkr-tools fetch --table"
"""What shows the rows that are left out."""


_LEFT_OUT_FIRST = ("Avg. price", "Class", "Price", "Realized", "Counts as", "Unrealized", "Conid", "Model")
"""Columns that a narrow terminal goes without, in this order; after these what counts in the row's own currency."""


class _PositionColumn(msgspec.Struct, frozen=True):
    """A column, what it has of a row, and what of a total."""

    column: Column
    cell: Callable[[Holding], str]
    total: Callable[[BaseCurrencyTotal], str] = lambda _: ""


def format_positions(
    holdings: Holdings, *, everything: bool = False, width: int | None = None, most: int | None = None
) -> str:
    """Returns the table; `everything` also shows positions that are closed, and what they have cost.

    `most`: how many rows there may be, the largest positions; sums and counts are of all.
    """
    shown = sorted((row for row in holdings if everything or not row.is_closed), key=_size, reverse=True)
    columns = _columns(holdings, shown, everything=everything)
    rows = [[column.cell(row) for column in columns] for row in shown]
    totals = [
        ["total", *(column.total(currency_total) for column in columns[1:])]
        for currency_total in holdings.totals
        if len(holdings)
    ]
    titles = [column.column for column in columns]
    count = len(rows) + len(holdings.non_objects)
    if holdings.non_objects:
        titles.append(Column("value", is_text=True))
        rows = [[*row, ""] for row in rows]
        rows += [
            [*[""] * len(columns), truncate(single_line(row), MAX_NON_OBJECT_WIDTH)] for row in holdings.non_objects
        ]
        totals = [[*row, ""] for row in totals]
    rows = rows[:most]
    left = count - len(rows)
    lines = [
        format_table(titles, rows, totals, width=width, leave_out=[*_LEFT_OUT_FIRST, *_last_left_out(titles)]),
        *([f"{format_count(left, 'position')} more, shown by: {ALL_COMMAND}"] if left else []),
        _count_line(holdings, count, len(holdings) - len(shown)),
    ]
    for currency_total in holdings.totals:
        lines += _total_remarks(currency_total)
    reconciliations = {reconciliation.base: reconciliation for reconciliation in holdings.reconciliations}
    for currency_total in holdings.totals:
        if currency_total.base in reconciliations:
            lines += _reconciliation_lines(reconciliations[currency_total.base])
        elif currency_total.net_liquidation is not None:
            lines.append(f"net liquidation value {format_amount(currency_total.net_liquidation)} {currency_total.base}")
    return "\n".join(lines)


def _last_left_out(titles: Sequence[Column]) -> list[str]:
    """Returns what goes after `_LEFT_OUT_FIRST`: the value in the row's currency, if there is one in the base's."""
    has_base = any(title.title.startswith("Value ") for title in titles)
    return ["Market value", ""] if has_base else []


def _size(row: Holding) -> Decimal:
    """Returns what a row is ordered by; one of which nothing is known comes last."""
    sizes = (row.value_base or row.exposure_base, row.market_value)
    return next((abs(size) for size in sizes if size), ZERO)


def _columns(holdings: Holdings, shown: Sequence[Holding], *, everything: bool) -> list[_PositionColumn]:
    roles = {row.role for row in shown}
    is_mixed = bool(roles - {PositionRole.VALUE})
    bases = [currency_total.base for currency_total in holdings.totals]
    several = len(holdings.accounts) > 1
    models = any(row.model for row in shown)
    name_counts = Counter((row.account, row.model, row.name) for row in shown)
    return [
        *([_text_column("Account", lambda row: row.account)] if several else []),
        *([_text_column("Model", lambda row: row.model)] if models else []),
        _text_column("Position", lambda row: row.name),
        *([_text_column("Conid", lambda row: row.conid)] if max(name_counts.values(), default=0) > 1 else []),
        _text_column("Class", lambda row: row.asset_class),
        *([_text_column("Counts as", lambda row: row.role.value)] if is_mixed else []),
        _number_column("Quantity", "position", lambda row: row.quantity, format_quantity),
        *(
            [_number_column("Avg. price", "avgPrice", lambda row: row.average_price, format_price)]
            if everything
            else []
        ),
        _number_column("Price", "mktPrice", lambda row: row.price, format_price),
        _number_column("Market value", "mktValue", lambda row: row.market_value),
        _number_column("Unrealized", "unrealizedPnl", lambda row: row.unrealized),
        *([_number_column("Realized", "realizedPnl", lambda row: row.realized)] if everything else []),
        _text_column("", lambda row: row.currency),
        *_counted_columns(holdings, bases, roles),
    ]


def _counted_columns(holdings: Holdings, bases: Sequence[str], roles: set[PositionRole]) -> list[_PositionColumn]:
    """Returns the columns of what counts: in the base currency, or in that of the row where there is none."""
    has_exposure = PositionRole.EXPOSURE in roles
    if not bases:
        return [
            *(
                [_PositionColumn(Column("Value"), lambda row: format_amount(row.value))]
                if roles - {PositionRole.VALUE}
                else []
            ),
            *([_PositionColumn(Column("Exposure"), lambda row: format_amount(row.exposure))] if has_exposure else []),
        ]
    suffix = f" {bases[0]}" if len(bases) == 1 else ""
    columns = [
        _PositionColumn(
            Column(f"Value{suffix}"),
            lambda row: format_amount(row.value_base),
            lambda currency_total: format_amount(currency_total.value),
        )
    ]
    if has_exposure:
        columns.append(
            _PositionColumn(
                Column(f"Exposure{suffix}"),
                lambda row: format_amount(row.exposure_base),
                lambda currency_total: format_amount(currency_total.exposure),
            )
        )
    if len(bases) > 1:
        columns.append(
            _PositionColumn(
                Column("Base", is_text=True), lambda row: row.base, lambda currency_total: currency_total.base
            )
        )
    if any(currency_total.net_liquidation for currency_total in holdings.totals):
        columns.append(
            _PositionColumn(
                Column("Weight"),
                lambda row: format_percent(holdings.weight(row)),
                lambda currency_total: format_percent(currency_total.weight),
            )
        )
    return columns


def _text_column(title: str, cell: Callable[[Holding], str]) -> _PositionColumn:
    return _PositionColumn(Column(title, is_text=True), cell)


def _number_column(
    title: str,
    name: str,
    number: Callable[[Holding], Decimal | None],
    write: Callable[[Decimal], str] = format_amount,
) -> _PositionColumn:
    """Returns a column of numbers; a value that is no number is shown as it came."""
    names = COLUMN_ALIASES["positions"].get(name, (name,))

    def cell(row: Holding) -> str:
        value = number(row)
        if value is not None:
            return write(value)
        return format_unparsed(next((row.fields[field] for field in names if row.fields.get(field) is not None), None))

    return _PositionColumn(Column(title), cell)


def _count_line(holdings: Holdings, shown: int, closed: int) -> str:
    text = format_count(shown, "position")
    if not holdings.totals:
        values = ", ".join(f"{format_amount(value)} {currency}" for currency, value in holdings.by_currency.items())
        note = describe_missing(holdings.missing)
        text += f" worth {values}" * bool(values) + f", {note}" * bool(note)
    return text + (f"; {closed:,} closed, shown by --all" if closed else "")


def _total_remarks(total: BaseCurrencyTotal) -> list[str]:
    """Returns what the totals of one base currency are without, and its profit."""
    lines = []
    if total.missing:
        lines.append(f"total {total.base} {describe_missing(total.missing)}")
    profit = f"unrealized {format_amount(total.unrealized)} {total.base}"
    if total.missing_unrealized:
        profit += f", without {format_count(total.missing_unrealized, 'position')}"
    lines.append(profit)
    if total.exposure is not None:
        exposed = f"exposure {format_amount(total.exposure)} {total.base}, in no other sum"
        if total.missing_exposure:
            exposed += f"; without {format_count(total.missing_exposure, 'position')}"
        lines.append(exposed)
    return lines


def _reconciliation_lines(reconciliation: Reconciliation) -> list[str]:
    parts = [("cash", reconciliation.cash), ("positions", reconciliation.positions)]
    accruals = (("dividends", reconciliation.dividends), ("interest", reconciliation.interest))
    parts += [(name, number) for name, number in accruals if number != ZERO]
    unknown = [name for name, number in parts if number is None]
    added = " + ".join(f"{name} {format_amount(number)}" for name, number in parts if number is not None)
    line = (
        f"{added} = {format_amount(reconciliation.total)} {reconciliation.base}"
        if not unknown
        else f"{added}; not known: {', '.join(unknown)}"
    )
    if reconciliation.futures_pnl and not reconciliation.is_futures_pnl_apart:
        line += f"; futures have made {format_amount(reconciliation.futures_pnl)} of the cash today"
    if reconciliation.net_liquidation is None:
        return [line, f"net liquidation value of {reconciliation.base} accounts not known"]
    net_liquidation = f"net liquidation value {format_amount(reconciliation.net_liquidation)} {reconciliation.base}"
    if reconciliation.difference is not None and not reconciliation.is_rounding:
        net_liquidation += f", a difference of {format_amount(reconciliation.difference)}: {reconciliation.explanation}"
    return [line, net_liquidation]
