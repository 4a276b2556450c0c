"""What happens to a security, and what each holder of it gets. Pure."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from random import Random

from ibkr_tools.simulator.account_life.securities import Security
from ibkr_tools.simulator.account_life.statement_calendar import on_or_after


class ActionKind(Enum):
    """A kind of action; the values are IBKR's `type`, and what tells two of the same type apart."""

    SPLIT = ("FS", "split")
    REVERSE_SPLIT = ("RS", "reverse split")
    SPIN_OFF = ("SO", "spin-off")
    CASH_MERGER = ("TC", "cash merger")
    STOCK_MERGER = ("TC", "stock merger")
    NEW_NUMBER = ("IC", "issue change")
    STOCK_DIVIDEND = ("SD", "stock dividend")
    WORTHLESS = ("DW", "worthless")

    @property
    def code(self) -> str:
        """Returns IBKR's type."""
        return self.value[0]


ENDS = frozenset({ActionKind.CASH_MERGER, ActionKind.WORTHLESS})
NEW_CONIDS = frozenset({ActionKind.REVERSE_SPLIT, ActionKind.STOCK_MERGER, ActionKind.NEW_NUMBER})
"""Kinds after which the holder has a security with another number."""


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """An action as the holder of `security` sees it on the morning of `day`.

    He gets `ratio` of `successor` for each one that he has, which may be the same security; or `cash` for each, and
    the security is gone. From a spin-off he gets `child_ratio` of `child`, which takes `child_share` of the value.
    """

    kind: ActionKind
    day: date
    security: Security
    action_id: int
    successor: Security | None = None
    ratio: Decimal = Decimal(1)
    cash: Decimal = Decimal(0)
    child: Security | None = None
    child_ratio: Decimal = Decimal(0)
    child_share: Decimal = Decimal(0)

    @property
    def price_factor(self) -> Decimal:
        """Returns what the price is multiplied by."""
        return (1 - self.child_share) / self.ratio

    @property
    def description(self) -> str:
        """Returns IBKR's wording."""
        old = f"{self.security.symbol}({self.security.isin})"
        new = self.successor
        match self.kind:
            case ActionKind.SPLIT:
                said = f"SPLIT {self.ratio} FOR 1"
            case ActionKind.REVERSE_SPLIT:
                said = f"SPLIT 1 FOR {round(1 / self.ratio)}"
            case ActionKind.SPIN_OFF:
                said = f"SPINOFF  {self.child_ratio} FOR 1"
            case ActionKind.CASH_MERGER:
                said = f"MERGED(Acquisition)  FOR {self.security.currency} {self.cash} PER SHARE"
            case ActionKind.STOCK_MERGER:
                said = f"MERGED(Acquisition)  WITH {new.isin if new else ''} {self.ratio} FOR 1"
            case ActionKind.NEW_NUMBER:
                said = f"CUSIP/ISIN CHANGE TO ({new.isin if new else ''})"
            case ActionKind.STOCK_DIVIDEND:
                said = f"STOCK DIVIDEND {self.ratio - 1} FOR 1"
            case _:
                said = "DELISTED AND WORTHLESS"
        return f"{old} {said} ({self.security.symbol}, {self.security.description}, {self.security.isin})"


_WEIGHTS = {
    ActionKind.SPLIT: 6,
    ActionKind.REVERSE_SPLIT: 2,
    ActionKind.SPIN_OFF: 2,
    ActionKind.CASH_MERGER: 1,
    ActionKind.STOCK_MERGER: 2,
    ActionKind.NEW_NUMBER: 2,
    ActionKind.STOCK_DIVIDEND: 2,
    ActionKind.WORTHLESS: 1,
}
_YEARLY = 0.12
"""How likely an action is in a year of a share."""

_HORIZON_YEARS = 40


def plan_actions(rng: Random, index: int, first_day: date) -> list[tuple[date, ActionKind]]:
    """Returns what will happen to a share, in order. Of the first shares each has one kind within the first year."""
    kinds = list(ActionKind)
    planned = []
    for year in range(first_day.year, first_day.year + _HORIZON_YEARS):
        day = on_or_after(date(year, rng.randrange(1, 12), rng.randrange(2, 29)))
        happens, drawn = rng.random() < _YEARLY, rng.choices(kinds, list(_WEIGHTS.values()))[0]
        if happens and (year > first_day.year + 1 or (year > first_day.year and index >= len(kinds))):
            planned.append((day, drawn))
    if index < len(kinds):
        planned.insert(
            0, (on_or_after(date.fromordinal(first_day.toordinal() + rng.randrange(150, 330))), kinds[index])
        )
    for place, (_, kind) in enumerate(planned):
        if kind in ENDS:
            return planned[: place + 1]
    return planned
