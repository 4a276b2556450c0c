"""What of the records is shown, row by row or added up. Pure; sums are exact."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from enum import StrEnum

from ibkr_tools.history.flows import kind_of_transfer, moves_something
from ibkr_tools.history.periods import Split
from ibkr_tools.history.records import AccountValue, CashBooking, Position, Source, Trade, Transfer
from ibkr_tools.number_format import exact_sum

Cell = str | Decimal | None


class Grouping(StrEnum):
    """What bookings are added up by."""

    MONTH = "month"
    YEAR = "year"
    INSTRUMENT = "instrument"
    CURRENCY = "currency"
    KIND = "kind"


def value_rows(values: Iterable[AccountValue]) -> list[dict[str, Cell]]:
    """Returns a row for each value, with `change`: by how much it differs from the one before of the same account.

    A change has deposits and withdrawals in it; it is no return. There is none to or from a snapshot's value, which is
    of a moment within a day.
    """
    rows: list[dict[str, Cell]] = []
    before: dict[str, AccountValue] = {}
    for value in values:
        previous = before.get(value.account)
        is_comparable = (
            previous is not None
            and previous.currency == value.currency
            and Source.SNAPSHOT not in {previous.source, value.source}
        )
        rows.append(
            {
                "day": value.day.isoformat(),
                "account": value.account,
                "currency": value.currency,
                "total": value.total,
                "cash": value.cash,
                "positions": value.positions,
                "change": value.total - previous.total if previous is not None and is_comparable else None,
                "source": value.source.value,
                "as_of": value.as_of,
            }
        )
        before[value.account] = value
    return rows


def last_of_each(split: Split, values: Iterable[AccountValue]) -> list[AccountValue]:
    """Returns the last value of each month or year and account; the present one's is that of its newest day."""
    last = {(value.account, split.name_of(value.day)): value for value in values}
    return list(last.values())


Booked = CashBooking | Transfer


def in_order_of_days(bookings: Iterable[CashBooking], transfers: Iterable[Transfer]) -> list[Booked]:
    """Returns the bookings and those transfers that move something, by account and day."""
    booked: list[Booked] = [*bookings, *filter(moves_something, transfers)]
    return sorted(booked, key=lambda item: (item.account, item.day))


def booking_rows(bookings: Iterable[Booked]) -> list[dict[str, Cell]]:
    """Returns a row for each booking or transfer; the amount of a transfer is that of its position and its cash."""
    return [
        {
            "day": booking.day.isoformat(),
            "account": booking.account,
            "kind": _kind_of(booking),
            "symbol": booking.symbol,
            "currency": booking.currency,
            "amount": _amount_of(booking),
            "in_base": booking.amount_in_base,
            "description": booking.description,
        }
        for booking in bookings
    ]


def _kind_of(booked: Booked) -> str:
    return booked.kind.value if isinstance(booked, CashBooking) else kind_of_transfer(booked).value


def _amount_of(booked: Booked) -> Decimal | None:
    if isinstance(booked, CashBooking):
        return booked.amount
    parts = (booked.position_amount, booked.cash_amount)
    return None if parts == (None, None) else exact_sum(parts)


def trade_rows(trades: Iterable[Trade]) -> list[dict[str, Cell]]:
    """Returns a row for each trade; `time` is as IBKR writes it, in the zone of the query, US Eastern by default."""
    return [
        {
            "day": trade.day.isoformat(),
            "account": trade.account,
            "symbol": trade.symbol or trade.conid,
            "side": trade.side,
            "quantity": trade.quantity,
            "price": trade.price,
            "currency": trade.currency,
            "proceeds": trade.proceeds,
            "commission": trade.commission,
            "taxes": trade.taxes,
            "realized": trade.realized,
            "type": trade.type,
            "notes": trade.notes,
            "time": trade.traded_at or trade.traded_on,
            "settles_on": trade.settles_on,
            "asset_class": trade.asset_class,
            "conid": trade.conid,
            "commission_currency": trade.commission_currency,
            "transaction_id": trade.transaction_id,
        }
        for trade in trades
    ]


def position_rows(positions: Iterable[Position]) -> list[dict[str, Cell]]:
    """Returns a row for each position."""
    return [
        {
            "day": position.day.isoformat(),
            "account": position.account,
            "symbol": position.symbol or position.conid,
            "quantity": position.quantity,
            "price": position.price,
            "currency": position.currency,
            "value": position.value,
            "in_base": position.value_in_base,
            "cost": position.cost,
            "unrealized": position.unrealized,
            "asset_class": position.asset_class,
            "conid": position.conid,
            "model": position.model,
        }
        for position in positions
    ]


_KEYS: dict[Grouping, Callable[[Booked], str]] = {
    Grouping.MONTH: lambda booking: f"{booking.day:%Y-%m}",
    Grouping.YEAR: lambda booking: f"{booking.day:%Y}",
    Grouping.INSTRUMENT: lambda booking: booking.symbol or booking.conid,
    Grouping.CURRENCY: lambda booking: booking.currency,
    Grouping.KIND: _kind_of,
}


def grouped_rows(bookings: Sequence[Booked], by: Grouping) -> list[dict[str, Cell]]:
    """Returns a row for each account and group: how many bookings, and their sum in the account's base currency.

    A group by currency has their sum in that currency too. `in_base` is None where one of them has no rate: a sum
    without it would be wrong.
    """
    groups: dict[tuple[str, str], list[Booked]] = {}
    for booking in bookings:
        groups.setdefault((booking.account, _KEYS[by](booking)), []).append(booking)
    rows = []
    for (account, key), members in sorted(groups.items()):
        row: dict[str, Cell] = {by.value: key, "account": account, "bookings": Decimal(len(members))}
        if by is Grouping.CURRENCY:
            amounts = [_amount_of(booking) for booking in members]
            row["amount"] = None if None in amounts else exact_sum(amounts)
        in_base = [booking.amount_in_base for booking in members]
        row["in_base"] = None if None in in_base else exact_sum(in_base)
        rows.append(row)
    return rows
