"""External flows: what came into an account from outside, and what left it. Pure.

Deposits, withdrawals and transfers are flows. Dividends, interest, fees, taxes and corporate actions are none: they are
what the account earned and paid.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from ibkr_tools.history.records import CashBooking, CashKind, Transfer


class FlowKind(StrEnum):
    """How it came: as cash from a bank, as positions or cash from another broker, or from another account of yours."""

    DEPOSIT = "deposit"
    TRANSFER = "transfer"
    INTERNAL_TRANSFER = "internal_transfer"


@dataclass(frozen=True, slots=True)
class ExternalFlow:
    """An amount that came in, negative one that left, on the day on which it is in the net asset value.

    `amount_in_base` is in the account's base currency, None where a rate is missing: returns over that day cannot be
    known.
    """

    account: str
    day: date
    amount_in_base: Decimal | None
    kind: FlowKind

    def of(self, account: str) -> "ExternalFlow":
        """Returns it as one of another account, such as of several that are shown as one."""
        return replace(self, account=account)


def moves_something(transfer: Transfer) -> bool:
    """Says whether a transfer is a flow: a row that states neither a position's value nor cash moves nothing."""
    return transfer.amount_in_base is None or bool(transfer.amount_in_base)


def kind_of_transfer(transfer: Transfer) -> FlowKind:
    """Returns whether a transfer is one between accounts of the same owner."""
    return FlowKind.INTERNAL_TRANSFER if transfer.type.upper() == "INTERNAL" else FlowKind.TRANSFER


def external_flows(
    bookings: Iterable[CashBooking], transfers: Iterable[Transfer], *, together: Collection[str] = ()
) -> list[ExternalFlow]:
    """Returns the flows of these bookings and transfers, by account and day; one for each.

    Args:
        bookings: of any kind; deposits and withdrawals are flows.
        transfers: all of them.
        together: accounts that are looked at as one: transfers between them are no flows.
    """
    found = [*_deposits(bookings), *_transferred(transfers, frozenset(together))]
    return sorted(found, key=lambda flow: (flow.account, flow.day))


def _deposits(bookings: Iterable[CashBooking]) -> Iterator[ExternalFlow]:
    for booking in bookings:
        if booking.kind is CashKind.DEPOSIT:
            yield ExternalFlow(booking.account, booking.day, booking.amount_in_base, FlowKind.DEPOSIT)


def _transferred(transfers: Iterable[Transfer], together: Collection[str]) -> Iterator[ExternalFlow]:
    for transfer in transfers:
        if transfer.account in together and transfer.counterpart in together:
            continue
        if moves_something(transfer):
            yield ExternalFlow(transfer.account, transfer.day, transfer.amount_in_base, kind_of_transfer(transfer))
