"""The table of positions: largest first, what is value and what is exposure, totals and what they are without."""

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from ibkr_tools.cells import ZERO, amount, as_came, cut, percent, plain, price, quantity
from ibkr_tools.fetch.classes import Role
from ibkr_tools.fetch.columns import SAME
from ibkr_tools.fetch.holdings import Holding, Holdings, Total, without
from ibkr_tools.fetch.reconciliation import Reconciliation
from ibkr_tools.views.layout import Column, counted, table

__all__ = ["view"]

WIDEST_ODD = 40


class _Shown(msgspec.Struct, frozen=True):
    """A column, what it has of a row, and what of a total."""

    column: Column
    cell: Callable[[Holding], str]
    total: Callable[[Total], str] = lambda _: ""


def view(holdings: Holdings, *, everything: bool = False, width: int | None = None) -> str:
    """Returns the table; `everything` also shows positions that are closed, and what they have cost."""
    shown = sorted((row for row in holdings if everything or not row.is_closed), key=_size, reverse=True)
    columns = _columns(holdings, shown, everything=everything)
    rows = [[one.cell(row) for one in columns] for row in shown]
    totals = [["total", *(one.total(whole) for one in columns[1:])] for whole in holdings.totals if len(holdings)]
    titles = [one.column for one in columns]
    if holdings.odd:
        titles.append(Column("value", is_text=True))
        rows = [[*row, ""] for row in rows]
        rows += [[*[""] * len(columns), cut(plain(row), WIDEST_ODD)] for row in holdings.odd]
        totals = [[*row, ""] for row in totals]
    lines = [table(titles, rows, totals, width=width), _count(holdings, len(rows), len(holdings) - len(shown))]
    for whole in holdings.totals:
        lines += _remarks(whole)
    composed = {one.base: one for one in holdings.reconciliations}
    for whole in holdings.totals:
        if whole.base in composed:
            lines += _composition(composed[whole.base])
        elif whole.net_liquidation is not None:
            lines.append(f"net liquidation value {amount(whole.net_liquidation)} {whole.base}")
    return "\n".join(lines)


def _size(row: Holding) -> Decimal:
    """Returns what a row is ordered by; one of which nothing is known comes last."""
    sizes = (row.value_base or row.exposure_base, row.market_value)
    return next((abs(size) for size in sizes if size), ZERO)


def _columns(holdings: Holdings, shown: Sequence[Holding], *, everything: bool) -> list[_Shown]:
    roles = {row.role for row in shown}
    is_mixed = bool(roles - {Role.VALUE})
    bases = [whole.base for whole in holdings.totals]
    several = len(holdings.accounts) > 1
    models = any(row.model for row in shown)
    same = Counter((row.account, row.model, row.name) for row in shown)
    return [
        *([_text("Account", lambda row: row.account)] if several else []),
        *([_text("Model", lambda row: row.model)] if models else []),
        _text("Position", lambda row: row.name),
        *([_text("Conid", lambda row: row.conid)] if max(same.values(), default=0) > 1 else []),
        _text("Class", lambda row: row.asset_class),
        *([_text("Counts as", lambda row: row.role.value)] if is_mixed else []),
        _figure("Quantity", "position", lambda row: row.quantity, quantity),
        *([_figure("Avg. price", "avgPrice", lambda row: row.average_price, price)] if everything else []),
        _figure("Price", "mktPrice", lambda row: row.price, price),
        _figure("Market value", "mktValue", lambda row: row.market_value),
        _figure("Unrealized", "unrealizedPnl", lambda row: row.unrealized),
        *([_figure("Realized", "realizedPnl", lambda row: row.realized)] if everything else []),
        _text("", lambda row: row.currency),
        *_counted_columns(holdings, bases, roles),
    ]


def _counted_columns(holdings: Holdings, bases: Sequence[str], roles: set[Role]) -> list[_Shown]:
    """Returns the columns of what counts: in the base currency, or in that of the row where there is none."""
    has_exposure = Role.EXPOSURE in roles
    if not bases:
        return [
            *([_Shown(Column("Value"), lambda row: amount(row.value))] if roles - {Role.VALUE} else []),
            *([_Shown(Column("Exposure"), lambda row: amount(row.exposure))] if has_exposure else []),
        ]
    suffix = f" {bases[0]}" if len(bases) == 1 else ""
    columns = [_Shown(Column(f"Value{suffix}"), lambda row: amount(row.value_base), lambda whole: amount(whole.value))]
    if has_exposure:
        columns.append(
            _Shown(
                Column(f"Exposure{suffix}"),
                lambda row: amount(row.exposure_base),
                lambda whole: amount(whole.exposure),
            )
        )
    if len(bases) > 1:
        columns.append(_Shown(Column("Base", is_text=True), lambda row: row.base, lambda whole: whole.base))
    if any(whole.net_liquidation for whole in holdings.totals):
        columns.append(
            _Shown(
                Column("Weight"),
                lambda row: percent(holdings.weight(row)),
                lambda whole: percent(whole.weight),
            )
        )
    return columns


def _text(title: str, cell: Callable[[Holding], str]) -> _Shown:
    return _Shown(Column(title, is_text=True), cell)


def _figure(
    title: str,
    name: str,
    number: Callable[[Holding], Decimal | None],
    write: Callable[[Decimal], str] = amount,
) -> _Shown:
    """Returns a column of numbers; what is none is shown as it came."""
    names = SAME["positions"].get(name, (name,))

    def cell(row: Holding) -> str:
        found = number(row)
        if found is not None:
            return write(found)
        return as_came(next((row.fields[one] for one in names if row.fields.get(one) is not None), None))

    return _Shown(Column(title), cell)


def _count(holdings: Holdings, shown: int, closed: int) -> str:
    text = counted(shown, "position")
    if not holdings.totals:
        worth = ", ".join(f"{amount(value)} {currency}" for currency, value in holdings.by_currency.items())
        told = without(holdings.missing)
        text += f" worth {worth}" * bool(worth) + f", {told}" * bool(told)
    return text + (f"; {closed:,} closed, shown by --all" if closed else "")


def _remarks(whole: Total) -> list[str]:
    """Returns what the totals of one base currency are without, and its profit."""
    lines = []
    if whole.missing:
        lines.append(f"total {whole.base} {without(whole.missing)}")
    profit = f"unrealized {amount(whole.unrealized)} {whole.base}"
    if whole.missing_unrealized:
        profit += f", without {counted(whole.missing_unrealized, 'position')}"
    lines.append(profit)
    if whole.exposure is not None:
        exposed = f"exposure {amount(whole.exposure)} {whole.base}, in no other sum"
        if whole.missing_exposure:
            exposed += f"; without {counted(whole.missing_exposure, 'position')}"
        lines.append(exposed)
    return lines


def _composition(found: Reconciliation) -> list[str]:
    parts = [("cash", found.cash), ("positions", found.positions)]
    parts += [(name, number) for name, number in (("dividends", found.dividends), ("interest", found.interest))
              if number != ZERO]  # fmt: skip
    unknown = [name for name, number in parts if number is None]
    added = " + ".join(f"{name} {amount(number)}" for name, number in parts if number is not None)
    line = (
        f"{added} = {amount(found.total)} {found.base}" if not unknown else f"{added}; not known: {', '.join(unknown)}"
    )
    if found.futures_pnl and not found.is_futures_pnl_apart:
        line += f"; futures have made {amount(found.futures_pnl)} of the cash today"
    if found.net_liquidation is None:
        return [line, f"net liquidation value of {found.base} accounts not known"]
    stated = f"net liquidation value {amount(found.net_liquidation)} {found.base}"
    if found.difference is not None and not found.is_rounding:
        stated += f", a difference of {amount(found.difference)}: {found.explanation}"
    return [line, stated]
