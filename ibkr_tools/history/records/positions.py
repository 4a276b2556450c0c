"""Open positions and the lots that they are made of, as of a statement's last day. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ibkr_tools.flex.statement_xml import Row
from ibkr_tools.history.records.row_fields import level_of, moment_of, number_of, sum_of, text_of, without_totals
from ibkr_tools.history.records.statement_context import StatementContext

_LOT = "LOT"


@dataclass(frozen=True, slots=True)
class Position:
    """A position at the end of a day. `conid` is what it is known by: symbols change, and are not unique.

    `quantity` is negative if it is short. Price, value, cost and profit are in `currency`, `value_in_base` in the
    account's own.
    """

    account: str
    day: date
    number: int
    conid: str
    symbol: str
    asset_class: str
    currency: str
    rate: Decimal | None
    quantity: Decimal
    price: Decimal | None
    value: Decimal | None
    value_in_base: Decimal | None
    cost: Decimal | None
    unrealized: Decimal | None
    multiplier: Decimal | None
    model: str
    generated_at: str


@dataclass(frozen=True, slots=True)
class Lot:
    """A part of a position that was bought at once. `code` is IBKR's: ST and LT are short and long term."""

    account: str
    day: date
    number: int
    conid: str
    symbol: str
    currency: str
    quantity: Decimal
    opened_at: str
    held_since: str
    price: Decimal | None
    cost: Decimal | None
    value: Decimal | None
    unrealized: Decimal | None
    code: str
    transaction_id: str
    generated_at: str


def identity(row: Row) -> str:
    """Returns what an instrument is known by: its conid, or its symbol where the query gives no conid."""
    return text_of(row, "conid") or text_of(row, "symbol")


def positions(context: StatementContext, rows: Sequence[Row]) -> list[Position]:
    """Returns the positions that the rows of OpenPositions have, each once.

    A query may give them as SUMMARY, as LOT or as both: the summaries count where there are any, else the sums of the
    lots.
    """
    stated = [row for row in rows if number_of(row, "position") is not None]
    summaries = [row for row in stated if level_of(row) != _LOT]
    groups: dict[tuple[str, str], list[Row]] = {}
    if summaries:
        by_instrument: dict[str, list[Row]] = {}
        for row in summaries:
            by_instrument.setdefault(identity(row), []).append(row)
        of_account = [row for members in by_instrument.values() for row in without_totals(members, "position")]
        return [_position(context, number, [row]) for number, row in enumerate(of_account)]
    for row in stated:
        groups.setdefault((identity(row), text_of(row, "model")), []).append(row)
    return [_position(context, number, members) for number, members in enumerate(groups.values())]


def _position(context: StatementContext, number: int, rows: Sequence[Row]) -> Position:
    first = rows[0]
    value = sum_of(rows, ("positionValue",))
    value_in_base = sum_of(rows, ("positionValueInBase",))
    return Position(
        account=context.account,
        day=context.last_day,
        number=number,
        conid=text_of(first, "conid"),
        symbol=text_of(first, "symbol"),
        asset_class=text_of(first, "assetCategory"),
        currency=text_of(first, "currency"),
        rate=context.rate(first, context.last_day),
        quantity=sum_of(rows, ("position",)) or Decimal(0),
        price=number_of(first, "markPrice"),
        value=value,
        value_in_base=context.in_base(value, first, context.last_day) if value_in_base is None else value_in_base,
        cost=sum_of(rows, ("costBasisMoney",)),
        unrealized=sum_of(rows, ("fifoPnlUnrealized",)),
        multiplier=number_of(first, "multiplier"),
        model=text_of(first, "model"),
        generated_at=context.generated_at,
    )


def lots(context: StatementContext, rows: Sequence[Row]) -> list[Lot]:
    """Returns the lots that the rows of OpenPositions have; equal ones are several."""
    found: list[Lot] = []
    for row in rows:
        quantity = number_of(row, "position")
        if level_of(row) != _LOT or quantity is None:
            continue
        found.append(
            Lot(
                account=context.account,
                day=context.last_day,
                number=len(found),
                conid=text_of(row, "conid"),
                symbol=text_of(row, "symbol"),
                currency=text_of(row, "currency"),
                quantity=quantity,
                opened_at=moment_of(row, "openDateTime"),
                held_since=moment_of(row, "holdingPeriodDateTime"),
                price=number_of(row, "openPrice"),
                cost=number_of(row, "costBasisMoney"),
                value=number_of(row, "positionValue"),
                unrealized=number_of(row, "fifoPnlUnrealized"),
                code=text_of(row, "code"),
                transaction_id=text_of(row, "originatingTransactionID"),
                generated_at=context.generated_at,
            )
        )
    return found
