"""The history of whole lives, however their statements are imported: what the ledger has, and nothing else."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from functools import cache

from hypothesis import given

from ibkr_tools.history.projection import project
from ibkr_tools.simulator.account_life import known_values
from ibkr_tools.simulator.account_life.entries import CashEntry
from ibkr_tools.simulator.account_life.life import AccountLife
from tests.support.known_records import BOOKING_KINDS
from tests.support.life_imports import Request, newest, requests, sources_of
from tests.support.lives import FIRST_DAY, LAST_DAY, LATER, SEEDS, life_of, of_lives


@given(SEEDS, requests())
@of_lives(0.1)
def test_each_day_has_the_value_that_was_known_last(seed: int, wanted: list[Request]) -> None:
    life = life_of(seed)
    sources = sources_of(life, wanted)
    values = cache(lambda account, at: known_values.values(life.books(account, at)))
    expected = {
        (account, day): values(account, at).get(day) for (account, day), at in newest(sources, before_too=True).items()
    }
    found = {(value.account, value.day): value.total for value in project(sources).values()}
    assert found == {key: value for key, value in expected.items() if value is not None}


def known_bookings(life: AccountLife, days: dict[tuple[str, date], datetime]) -> Iterator[CashEntry]:
    """Yields the bookings of these days as they were known when the statement that counts was made."""
    by_books: dict[tuple[str, datetime], set[date]] = defaultdict(set)
    for (account, day), at in days.items():
        by_books[account, at].add(day)
    for (account, at), those in by_books.items():
        ledger = life.books(account, at)
        yield from (entry for entry in known_values.bookings(ledger, BOOKING_KINDS) if entry.day in those)


@given(SEEDS, requests())
@of_lives(0.1)
def test_each_day_has_the_bookings_that_were_known_last(seed: int, wanted: list[Request]) -> None:
    """None is lost, doubled, or kept after IBKR has taken it back."""
    life = life_of(seed)
    sources = sources_of(life, wanted)
    expected = {
        (entry.account, entry.day, str(entry.number), entry.amount, entry.currency, entry.kind.type): entry.kind
        for entry in known_bookings(life, newest(sources, before_too=False))
    }
    bookings = project(sources).bookings()
    found = {
        (one.account, one.day, one.transaction_id, one.amount, one.currency, one.type): one.kind for one in bookings
    }
    assert found.keys() == expected.keys()
    assert len(bookings) == len(found)
    assert all(kind in BOOKING_KINDS[expected[key]] for key, kind in found.items())


@given(SEEDS)
@of_lives(0.1)
def test_a_whole_life_has_every_day(seed: int) -> None:
    """And each booking its worth in the base currency, at the rate of its day."""
    life = life_of(seed)
    sources = sources_of(life, [Request(FIRST_DAY, LAST_DAY, LATER, "all")])
    projection = project(sources)
    for account in life.accounts:
        ledger = life.books(account, LATER)
        values = {value.day: value.total for value in projection.values() if value.account == account}
        assert values == known_values.values(ledger)
        rates = {closed.day: closed for closed in ledger.closes}
        in_base = [one.amount_in_base for one in projection.bookings() if one.account == account]
        known = [
            rates[entry.day].in_base(entry.currency, entry.amount)
            for entry in known_values.bookings(ledger, BOOKING_KINDS)
        ]
        assert in_base == known
