"""Years in the life of a customer's accounts: every entry, and the books of each account as they were at any time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from ibkr_tools.simulator.account_life import statement_calendar
from ibkr_tools.simulator.account_life.entries import Entry
from ibkr_tools.simulator.account_life.journal import Journal
from ibkr_tools.simulator.account_life.ledger import Ledger
from ibkr_tools.simulator.account_life.market import Market
from ibkr_tools.simulator.account_life.story import Story

_NUMBERS_OF_ACCOUNT = 100_000_000
_FIRST_NUMBER = 23_000_000_000
_MORE_SECURITIES = 10
_TRANSFERS_EVERY = 45


@dataclass(frozen=True, slots=True)
class LifeOptions:
    """How the accounts live. The same options make the same life; a later `last_day` changes nothing before it.

    `bases` are the base currencies, in turn. `positions` is how many an account has, about. If there is a
    `former_number`, the first account has it until it migrates, `migrates_after` business days from its first one.
    """

    seed: int = 1
    accounts: tuple[str, ...] = ("U1234567",)
    first_day: date = date(2024, 1, 2)
    last_day: date = date(2025, 12, 31)
    bases: tuple[str, ...] = ("EUR",)
    positions: int = 20
    former_number: str = ""
    migrates_after: int = 150


class AccountLife:
    """The life that the options say. Making it takes about a second for five years of an account."""

    def __init__(self, options: LifeOptions) -> None:
        self.options = options
        self.market = Market(options.seed, options.positions + _MORE_SECURITIES, options.first_day)
        self._journals: dict[str, Journal] = {}
        self._stories: list[Story] = []
        self._books: dict[tuple[str, int], Ledger] = {}
        for index, account in enumerate(options.accounts):
            name = options.former_number if options.former_number and not index else account
            self._stories.append(Story(self._open(name, index), index, options.positions))
        self._day_count = 0
        self._last_day = date.min
        self.continue_until(options.last_day)

    def _open(self, account: str, index: int) -> Journal:
        base = self.options.bases[index % len(self.options.bases)]
        number = _FIRST_NUMBER + len(self._journals) * _NUMBERS_OF_ACCOUNT
        # Of an account that has moved away nothing may be left over.
        is_corrected = account != self.options.former_number
        self._journals[account] = Journal(self.market, account, base, number, is_corrected=is_corrected)
        return self._journals[account]

    @property
    def accounts(self) -> list[str]:
        """Returns all account numbers, former ones too."""
        return list(self._journals)

    @property
    def first_day(self) -> date:
        """Returns the first business day."""
        return self.market.first_day

    @property
    def last_day(self) -> date:
        """Returns the last day that has passed."""
        return self._last_day

    def continue_until(self, last_day: date) -> None:
        """Has the accounts live on, up to and with this day."""
        begin = self.first_day if self._last_day == date.min else statement_calendar.after(self._last_day)
        for day in statement_calendar.between(begin, last_day):
            self._live(day)
            self._last_day = day
            self._books.clear()

    def _live(self, day: date) -> None:
        options = self.options
        if options.former_number and self._day_count == options.migrates_after:
            self._open(options.accounts[0], 0)
        for index, (account, journal) in enumerate(self._journals.items()):
            journal.begin(day, f"{options.seed}:{index}:{account}:{day}")
        if options.former_number and self._day_count == options.migrates_after:
            self._stories[0].migrate(self._journals[options.accounts[0]])
        for story in self._stories:
            story.live()
        if len(self._stories) > 1 and self._day_count % _TRANSFERS_EVERY == _TRANSFERS_EVERY - 1:
            turn = self._day_count // _TRANSFERS_EVERY
            count = len(self._stories)
            self._stories[turn % count].transfer_to(self._stories[(turn + 1) % count])
        for journal in self._journals.values():
            journal.ledger.close(day)
        self._day_count += 1

    def base(self, account: str) -> str:
        """Returns an account's base currency."""
        return self._journals[account].base

    def entries(self, account: str) -> Sequence[Entry]:
        """Returns all entries of an account, those too that were never known together."""
        return self._journals[account].entries

    def books(self, account: str, at: datetime | None = None) -> Ledger:
        """Returns the ledger of an account as IBKR's books have it at a time; at the end of time without one.

        What they have of days before `at` that was corrected later is as it was then.
        """
        entries = self._journals[account].entries
        moment = at or datetime.max  # noqa: DTZ901 - no statement has a zone
        changes = sum(
            (entry.known_from or datetime.min) <= moment  # noqa: DTZ901
            and (entry.known_until is None or entry.known_until > moment)
            and entry.known_from is not None
            for entry in entries
        )
        changes += sum(entry.known_until is not None and entry.known_until <= moment for entry in entries) * 100_000
        key = (account, changes)
        if key not in self._books:
            self._books[key] = self._replay(account, moment)
        return self._books[key]

    def _replay(self, account: str, at: datetime) -> Ledger:
        ledger = Ledger(self.market, self.base(account))
        first = self._journals[account].ledger.closes[0].day
        known = sorted((entry for entry in self.entries(account) if entry.is_known(at)), key=_order)
        place = 0
        for day in statement_calendar.between(first, self._last_day):
            while place < len(known) and known[place].day <= day:
                ledger.apply(known[place])
                place += 1
            ledger.close(day)
        return ledger


def _order(entry: Entry) -> tuple[date, int]:
    return entry.day, entry.number
