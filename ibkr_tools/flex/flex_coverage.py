"""Whether statements are of all the days that were asked for. Pure.

IBKR has answered with the last day alone where weeks were asked for, without an error: such an answer has positions and
no bookings, and must not pass for weeks without events.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from ibkr_tools.flex.business_days import first_business_day, last_business_day
from ibkr_tools.flex.flex_periods import Period
from ibkr_tools.flex.statement_xml import Statement


class ShortfallKind(Enum):
    """What is missing."""

    LATE = "late"
    """The last days: they may come."""

    ONE_DAY = "one-day"
    """All days but the last one."""

    BEGINS_LATER = "begins-later"
    """Days at the beginning: the account was not there yet, or the query answers for days of its own choice."""

    NO_STATEMENT = "no-statement"
    """An account of the configuration has none."""


@dataclass(frozen=True)
class Shortfall:
    """What an account's statement lacks of the days that were asked for; `got` is None if there is no statement."""

    kind: ShortfallKind
    account: str
    asked: Period
    got: Period | None = None

    def __str__(self) -> str:
        match self.kind:
            case ShortfallKind.NO_STATEMENT:
                return f"there is no statement of {self.account}"
            case ShortfallKind.LATE:
                return f"{self.account}: asked for {self.asked}, and the statement ends on {self.got_period.to_day}"
            case ShortfallKind.ONE_DAY:
                return f"{self.account}: asked for {self.asked}, and the statement is of {self.got_period.to_day} alone"
            case ShortfallKind.BEGINS_LATER:
                return f"{self.account}: asked for {self.asked}, and the statement begins on {self.got_period.from_day}"

    @property
    def got_period(self) -> Period:
        """The days of the statement."""
        return self.got or self.asked

    @property
    def todo(self) -> str | None:
        """What a person can do; None: nothing, but wait."""
        match self.kind:
            case ShortfallKind.LATE:
                return None
            case ShortfallKind.NO_STATEMENT:
                return f"Tick {self.account} in the query, or take it out of the configuration"
            case ShortfallKind.ONE_DAY:
                return "Make a new query, with the period Last 365 Calendar Days, and name it in flex.query"
            case ShortfallKind.BEGINS_LATER:
                return (
                    "If the account is older than that, set the query's period to Last 365 Calendar Days; "
                    "see docs/flex.md#what-can-be-short"
                )


def find_shortfalls(asked: Period, statements: Sequence[Statement], expected: Collection[str]) -> Iterator[Shortfall]:
    """Yields what is missing of the `asked` days, account by account.

    Args:
        asked: the days; those on which markets are closed are not missed.
        statements: the heads of what came.
        expected: the accounts that should be in it.
    """
    got: dict[str, Period] = {}
    for head in statements:
        known = got.get(head.account, Period(head.from_day, head.to_day))
        got[head.account] = Period(min(known.from_day, head.from_day), max(known.to_day, head.to_day))
    for account in sorted(set(expected) - got.keys()):
        yield Shortfall(ShortfallKind.NO_STATEMENT, account, asked)
    first, last = first_business_day(asked.from_day), last_business_day(asked.to_day)
    for account, period in sorted(got.items()) if first <= last else ():
        is_one_day = period.from_day == period.to_day
        if is_one_day and period.from_day > first:
            yield Shortfall(ShortfallKind.ONE_DAY, account, asked, period)
        elif period.to_day < last:
            yield Shortfall(ShortfallKind.LATE, account, asked, period)
        elif period.from_day > first:
            yield Shortfall(ShortfallKind.BEGINS_LATER, account, asked, period)
