"""Tax lots: what was bought when, for how much; first in, first out. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

_COST_STEP = Decimal("0.00000001")
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Lot:
    """A part of a position that was opened at once; a short one has a negative quantity and a negative cost.

    `cost` is in the security's currency, with commission and taxes. `number` is the trade's that opened it.
    """

    quantity: Decimal
    cost: Decimal
    opened: datetime
    number: int

    def part(self, quantity: Decimal) -> "Lot":
        """Returns so much of it, with its share of the cost."""
        if quantity == self.quantity:
            return self
        return replace(self, quantity=quantity, cost=(self.cost * quantity / self.quantity).quantize(_COST_STEP))

    def without(self, part: "Lot") -> "Lot":
        """Returns what is left when a part is gone."""
        return replace(self, quantity=self.quantity - part.quantity, cost=self.cost - part.cost)


def take(lots: Sequence[Lot], quantity: Decimal) -> tuple[tuple[Lot, ...], tuple[Lot, ...]]:
    """Returns the lots that make up a quantity, oldest first, and what is left of them all.

    `quantity` has the sign of the position. What is not there is not taken.
    """
    taken, left = [], []
    for lot in lots:
        if not quantity:
            left.append(lot)
            continue
        part = lot.part(lot.quantity if abs(lot.quantity) <= abs(quantity) else quantity)
        quantity -= part.quantity
        taken.append(part)
        if part.quantity != lot.quantity:
            left.append(lot.without(part))
    return tuple(taken), tuple(left)


def put_back(lots: Sequence[Lot], returned: Sequence[Lot]) -> tuple[Lot, ...]:
    """Returns lots with those that a trade had closed, in the order in which they were opened."""
    merged: dict[int, Lot] = {}
    for lot in (*lots, *returned):
        known = merged.get(lot.number)
        if known is None:
            merged[lot.number] = lot
        else:
            merged[lot.number] = replace(known, quantity=known.quantity + lot.quantity, cost=known.cost + lot.cost)
    return tuple(sorted(merged.values(), key=lambda lot: (lot.opened, lot.number)))


def total_quantity(lots: Sequence[Lot]) -> Decimal:
    """Returns how much they are together."""
    return sum([lot.quantity for lot in lots], ZERO)


def total_cost(lots: Sequence[Lot]) -> Decimal:
    """Returns what they have cost together."""
    return sum((lot.cost for lot in lots), ZERO)


def scale(lots: Sequence[Lot], ratio: Decimal) -> tuple[Lot, ...]:
    """Returns them after a split: `ratio` times as many, for the same cost."""
    return tuple(replace(lot, quantity=(lot.quantity * ratio).quantize(Decimal("0.0001"))) for lot in lots)


def share(lots: Sequence[Lot], ratio: Decimal) -> tuple[Lot, ...]:
    """Returns them with so much of their cost."""
    return tuple(replace(lot, cost=(lot.cost * ratio).quantize(_COST_STEP)) for lot in lots)
