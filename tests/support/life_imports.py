"""Imports of statements, as people make them: overlapping, with gaps, in any order, before corrections and after."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from hypothesis import strategies as st

from ibkr_tools.history.projection import StatementRows
from ibkr_tools.simulator.account_life import statement_calendar
from ibkr_tools.simulator.account_life.flex_query import FlexQuery
from ibkr_tools.simulator.account_life.life import AccountLife
from ibkr_tools.simulator.account_life.statement_writer import NoStatementError
from tests.support.lives import FIRST, FIRST_DAY, FORMER, LAST_DAY, LATER, SECOND, statements_of

ACCOUNTS = (FIRST, SECOND, FORMER)


Sources = list[tuple[StatementRows, str]]
"""Statements, each with the digest of its file."""


@dataclass(frozen=True)
class Request:
    """A statement of days, made at a time. `digest` is its file's."""

    from_day: date
    to_day: date
    at: datetime
    digest: str


@st.composite
def requests(draw: st.DrawFn) -> list[Request]:
    """Draws some requests; no two are of one second."""
    count = draw(st.integers(1, 5))
    found = []
    for number in range(count):
        first = draw(st.dates(FIRST_DAY, LAST_DAY))
        last = draw(st.dates(first, min(LAST_DAY, first + timedelta(days=draw(st.sampled_from([5, 40, 200]))))))
        delay = draw(st.integers(1, 90))
        at = min(datetime.combine(last, LATER.time()) + timedelta(days=delay), LATER)
        found.append(Request(first, last, at + timedelta(seconds=number), f"digest{number}"))
    return draw(st.permutations(found))


def sources_of(life: AccountLife, wanted: list[Request], query: FlexQuery | None = None) -> Sources:
    """Returns the statements, of all accounts, as the history takes them; what there is none of is left out."""
    sources = []
    for request in wanted:
        try:
            made = statements_of(life, ACCOUNTS, request.from_day, request.to_day, request.at, query)
        except NoStatementError:
            continue
        sources += [(source, request.digest) for source in made]
    return sources


def newest(sources: Sources, *, before_too: bool) -> dict[tuple[str, date], datetime]:
    """Returns which statement counts for each business day of each account: when it was made.

    Args:
        before_too: the day before a statement's first one is one of its days, as of its values.
    """
    found: dict[tuple[str, date], datetime] = {}
    for source, _ in sources:
        head = source.statement
        first = statement_calendar.before(head.from_day) if before_too else head.from_day
        for day in statement_calendar.between(first, head.to_day):
            key = (head.account, day)
            found[key] = max(head.generated_at, found.get(key, head.generated_at))
    return found
