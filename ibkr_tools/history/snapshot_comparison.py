"""Whether a statement and a snapshot of the same day agree: positions one by one, and what the account is worth. Pure.

They are of different times of a day: trades may lie between them, and prices move.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ibkr_tools.history.records import AccountValue, CorporateAction, Position, Trade, Transfer
from ibkr_tools.number_format import ZERO, exact_sum

MAX_VALUE_DIFFERENCE = Decimal("0.01")
"""How far the two net asset values may be apart, as a ratio of the statement's: prices move within a day."""

NET_ASSET_VALUE = "net asset value"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure of both sides; `agrees` says whether they are the same, or can be at different times of the day.

    `statement` or `snapshot` is None where that side does not have it.
    """

    account: str
    what: str
    conid: str
    statement: Decimal | None
    snapshot: Decimal | None
    agrees: bool


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """A position in a snapshot."""

    conid: str
    name: str
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class DayEvents:
    """What of an account changed quantities on a day, by the statement."""

    trades: Sequence[Trade] = ()
    actions: Sequence[CorporateAction] = ()
    transfers: Sequence[Transfer] = ()

    def possible_before(self, conid: str, at_the_end: Decimal) -> set[Decimal]:
        """Returns the quantities that there were in the course of the day, of an instrument with so many at its end."""
        changes = [
            *(
                (trade.traded_at, trade.number, trade.quantity)
                for trade in self.trades
                if trade.conid == conid and trade.asset_class != "CASH"
            ),
            *(("", item.number, item.quantity or ZERO) for item in self.actions if item.conid == conid),
            *(("", item.number, item.quantity or ZERO) for item in self.transfers if item.conid == conid),
        ]
        quantities = {at_the_end}
        quantity = at_the_end
        for _, _, change in sorted(changes, reverse=True):
            quantity = exact_sum([quantity, -change])
            quantities.add(quantity)
        return quantities


def compare_positions(
    account: str, positions: Iterable[Position], held: Iterable[HeldPosition], events: DayEvents
) -> list[Comparison]:
    """Returns the quantities of both sides by conid, in the order of the names; those of models are added up."""
    names: dict[str, str] = {}
    stated: dict[str, Decimal] = {}
    seen: dict[str, Decimal] = {}
    for position in positions:
        names[position.conid] = position.symbol or position.conid
        stated[position.conid] = exact_sum([stated.get(position.conid), position.quantity])
    for item in held:
        names.setdefault(item.conid, item.name)
        seen[item.conid] = exact_sum([seen.get(item.conid), item.quantity])
    return [
        Comparison(
            account,
            name,
            conid,
            stated.get(conid),
            seen.get(conid),
            seen.get(conid, ZERO) in events.possible_before(conid, stated.get(conid, ZERO)),
        )
        for conid, name in sorted(names.items(), key=lambda item: (item[1], item[0]))
        if stated.get(conid) or seen.get(conid)
    ]


def compare_values(value: AccountValue, snapshot: AccountValue, flows: Iterable[Decimal | None] = ()) -> Comparison:
    """Returns the two net asset values; `flows` came or left on that day, before the snapshot or after it."""
    difference = value.total - snapshot.total
    limit = MAX_VALUE_DIFFERENCE * max(abs(value.total), abs(snapshot.total))
    amounts = [amount for amount in flows if amount]
    agrees = value.currency == snapshot.currency and any(
        abs(difference - moved) <= limit for moved in (ZERO, exact_sum(amounts))
    )
    return Comparison(value.account, NET_ASSET_VALUE, "", value.total, snapshot.total, agrees)


def comparison_rows(comparisons: Iterable[Comparison]) -> list[dict[str, str | Decimal | None]]:
    """Returns a row for each comparison."""
    return [
        {
            "account": item.account,
            "what": item.what,
            "conid": item.conid,
            "statement": item.statement,
            "snapshot": item.snapshot,
            "agrees": "yes" if item.agrees else "no",
        }
        for item in comparisons
    ]
