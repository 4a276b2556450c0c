"""The entries of one account as they are written, day by day, and the ledger that they make at once."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import TypeVar

from ibkr_tools.simulator.account_life import statement_calendar
from ibkr_tools.simulator.account_life.entries import CashEntry, CashKind, Entry
from ibkr_tools.simulator.account_life.ledger import Ledger
from ibkr_tools.simulator.account_life.market import Market
from ibkr_tools.simulator.account_life.securities import Security

_Entry = TypeVar("_Entry", bound=Entry)

CENT, ZERO = Decimal("0.01"), Decimal(0)
_CUT_OFF = time(20, 20)
_CORRECTED_AT = time(3, 0)


class Journal:
    """What happens to one account number. `rng` is set anew each day: a life does not depend on its last day.

    `is_corrected` says whether IBKR changes what it has reported; the ledger here has what it reported first.
    """

    def __init__(self, market: Market, account: str, base: str, first_number: int, *, is_corrected: bool) -> None:
        self.market = market
        self.account = account
        self.base = base
        self.rng = Random(0)
        self.day = market.first_day
        self.ledger = Ledger(market, base)
        self.entries: list[Entry] = []
        self.number = first_number
        self._is_corrected = is_corrected

    def begin(self, day: date, seed: str) -> None:
        """Begins a day."""
        self.day = day
        self.rng = Random(seed)

    def next_number(self) -> int:
        """Returns a number that no other entry has."""
        self.number += 1
        return self.number

    def book(self, entry: Entry) -> None:
        """Writes an entry and has the ledger take it."""
        self.entries.append(entry)
        self.ledger.apply(entry)

    def book_corrected(self, entry: _Entry, corrected: _Entry) -> None:
        """Writes an entry that IBKR corrects weeks later, as if it had always been otherwise."""
        if not self._is_corrected:
            self.book(entry)
            return
        later = statement_calendar.after(self.day, self.rng.randrange(3, 40))
        at = datetime.combine(later, _CORRECTED_AT)
        self.book(replace(entry, known_until=at))
        self.entries.append(replace(corrected, known_from=at))

    def book_late(self, entry: Entry) -> None:
        """Writes an entry that IBKR's books have had since this day, but not before some days later."""
        if not self._is_corrected:
            self.book(entry)
            return
        later = statement_calendar.after(self.day, self.rng.randrange(2, 9))
        self.entries.append(replace(entry, known_from=datetime.combine(later, _CORRECTED_AT)))

    def cash(
        self,
        kind: CashKind,
        currency: str,
        amount: Decimal,
        description: str,
        *,
        security: Security | None = None,
        action_id: int = 0,
        sent: date | None = None,
        settled: date | None = None,
        code: str = "",
    ) -> CashEntry:
        """Returns a booking of cash of this day; it is not written yet."""
        at = datetime.combine(sent or self.day, _CUT_OFF if security is not None else time(0))
        return CashEntry(
            account=self.account,
            day=self.day,
            number=self.next_number(),
            kind=kind,
            currency=currency,
            amount=amount.quantize(CENT),
            description=description,
            at=at,
            settle_day=settled or self.day,
            security=security,
            action_id=action_id,
            code=code,
        )

    @property
    def cash_in_base(self) -> Decimal:
        """Returns all cash, at the rates of the day."""
        rate = self.market.rate
        return sum((amount * rate(one, self.base, self.day) for one, amount in self.ledger.cash.items()), ZERO)

    @property
    def value(self) -> Decimal:
        """Returns what the account was worth at the end of the last day."""
        return self.ledger.closes[-1].total if self.ledger.closes else ZERO

    def held(self, *classes: str) -> list[Security]:
        """Returns the securities of these classes that are held, by number."""
        securities = self.ledger.securities
        return [securities[conid] for conid in sorted(self.ledger.lots) if securities[conid].asset_class in classes]

    def held_before(self, security: Security) -> Decimal:
        """Returns how much was held at the end of the day before."""
        if not self.ledger.closes:
            return ZERO
        return sum((lot.quantity for lot in self.ledger.closes[-1].lots.get(security.conid, ())), ZERO)

    def clock(self) -> datetime:
        """Returns a time at which exchanges are open."""
        return datetime.combine(self.day, time(9, 30)) + timedelta(seconds=self.rng.randrange(23_000))
