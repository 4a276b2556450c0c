"""What has changed between the positions of two times, and why their values have. Pure.

A change of value is the sum of three effects, exactly: of the quantity, at the new price and rate; of the price, at the
old quantity and the new rate; of the currency, at the old quantity and price.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from ibkr_tools.number_format import EXACT_CONTEXT, exact_sum, ratio

_SPLIT_TOLERANCE = Decimal("0.02")
_LEAST_SPLIT = Decimal("1.2")
"""Quantities that differ by this factor or more, while their value is the same within 2 %, are called a split."""


class ChangeKind(StrEnum):
    """What has become of a position. VALUE: the quantity is the same, the value is not."""

    NEW = "new"
    GONE = "gone"
    CHANGED = "changed"
    SPLIT = "split"
    VALUE = "value"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Held:
    """A position at one time; `value` in its currency, `value_in_base` in the account's; None: not known."""

    account: str
    conid: str
    name: str
    currency: str
    quantity: Decimal
    value: Decimal | None
    value_in_base: Decimal | None


@dataclass(frozen=True, slots=True)
class PositionChange:
    """What has become of one position; effects are in the account's base currency, None where a value is not known.

    `before` and `after` are quantities, 0 for none. `value_change` = `by_quantity` + `by_price` + `by_currency`.
    """

    account: str
    conid: str
    name: str
    kind: ChangeKind
    before: Decimal
    after: Decimal
    value_change: Decimal | None
    by_quantity: Decimal | None
    by_price: Decimal | None
    by_currency: Decimal | None

    @property
    def is_different(self) -> bool:
        """Says whether anything has changed."""
        return self.kind is not ChangeKind.SAME


def compare_positions(old: Iterable[Held], new: Iterable[Held]) -> list[PositionChange]:
    """Returns what has become of each position, by account and name; what is known by the conid alone is the same."""
    before, after = _by_key(old), _by_key(new)
    changes = [_change(before.get(key), after.get(key)) for key in before.keys() | after.keys()]
    return sorted(changes, key=lambda change: (change.account, change.name, change.conid))


def _by_key(positions: Iterable[Held]) -> Mapping[tuple[str, str], Held]:
    """Returns positions by account and conid; several rows of one, such as of models, are added up."""
    found: dict[tuple[str, str], Held] = {}
    for held in positions:
        known = found.get((held.account, held.conid))
        found[held.account, held.conid] = held if known is None else _added(known, held)
    return {key: held for key, held in found.items() if held.quantity}


def _added(first: Held, second: Held) -> Held:
    def total(one: Decimal | None, other: Decimal | None) -> Decimal | None:
        return None if one is None or other is None else exact_sum([one, other])

    return Held(
        first.account,
        first.conid,
        second.name,
        second.currency,
        exact_sum([first.quantity, second.quantity]),
        total(first.value, second.value),
        total(first.value_in_base, second.value_in_base),
    )


def _change(old: Held | None, new: Held | None) -> PositionChange:
    held = new or old
    if held is None:
        raise ValueError("neither position is there")
    before = old.quantity if old else Decimal(0)
    after = new.quantity if new else Decimal(0)
    value_before = old.value_in_base if old else Decimal(0)
    value_after = new.value_in_base if new else Decimal(0)
    total = None if value_before is None or value_after is None else exact_sum([value_after, -value_before])
    kind = _kind(old, new, total)
    by_quantity, by_price, by_currency = _effects(old, new, total, is_split=kind is ChangeKind.SPLIT)
    return PositionChange(
        held.account, held.conid, held.name, kind, before, after, total, by_quantity, by_price, by_currency
    )


def _kind(old: Held | None, new: Held | None, total: Decimal | None) -> ChangeKind:
    if old is None or new is None:
        return ChangeKind.NEW if old is None else ChangeKind.GONE
    if old.quantity != new.quantity:
        return ChangeKind.SPLIT if _is_split(old, new) else ChangeKind.CHANGED
    return ChangeKind.SAME if total == 0 and old.value == new.value else ChangeKind.VALUE


def _is_split(old: Held, new: Held) -> bool:
    factor, change = ratio(new.quantity, old.quantity), ratio(new.value, old.value)
    if factor is None or change is None or factor <= 0:
        return False
    is_large = max(factor, 1 / factor) >= _LEAST_SPLIT
    return is_large and abs(change - 1) <= _SPLIT_TOLERANCE


def _effects(
    old: Held | None, new: Held | None, total: Decimal | None, *, is_split: bool
) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    if total is None:
        return None, None, None
    if old is None or new is None:
        return total, Decimal(0), Decimal(0)
    rate = ratio(new.value_in_base, new.value)
    if rate is None or old.value is None or old.value_in_base is None or new.value_in_base is None:
        # A value of nothing has no rate: all of the change is the price's.
        return Decimal(0), total, Decimal(0)
    old_at_new_rate = EXACT_CONTEXT.multiply(old.value, rate)
    kept = new.value_in_base
    if not is_split:
        part = ratio(old.quantity, new.quantity)
        kept = new.value_in_base if part is None else EXACT_CONTEXT.multiply(new.value_in_base, part)
    by_quantity = exact_sum([new.value_in_base, -kept])
    by_currency = exact_sum([old_at_new_rate, -old.value_in_base])
    # What is left, so that the three add up to the last digit.
    return by_quantity, exact_sum([total, -by_quantity, -by_currency]), by_currency
