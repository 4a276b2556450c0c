"""Lives of accounts, each made once, and their statements as the product reads them."""

import io
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache

from hypothesis import Phase, settings
from hypothesis import strategies as st

from ibkr_tools.flex.statement_file import StatementFile, read_statement_file
from ibkr_tools.flex.statement_xml import Row, Statement, read_statements
from ibkr_tools.history.projection import StatementRows
from ibkr_tools.simulator.account_life.flex_query import FlexQuery
from ibkr_tools.simulator.account_life.life import AccountLife, LifeOptions
from ibkr_tools.simulator.account_life.statement_writer import write_statements
from tests.support.examples import examples

FIRST, SECOND, FORMER = "U1234567", "U1234568", "U7654321"
FIRST_DAY, LAST_DAY = date(2024, 1, 2), date(2025, 3, 31)
LATER = datetime.fromisoformat("2026-01-05T06:30")
"""When every correction is known."""

SEEDS = st.integers(0, 7)
"""Each is a life; few enough that tests share them."""


def of_lives(share: float) -> settings:
    """Returns the settings of a test that makes lives: to make an example that fails smaller would take minutes."""
    return examples(share, phases=(Phase.explicit, Phase.reuse, Phase.generate))


@lru_cache(maxsize=8)
def life_of(seed: int) -> AccountLife:
    """Returns fifteen months of two accounts, the first of which had another number before."""
    return AccountLife(
        LifeOptions(
            seed=seed,
            accounts=(FIRST, SECOND),
            first_day=FIRST_DAY,
            last_day=LAST_DAY,
            bases=("EUR", "USD") if seed % 2 else ("CHF",),
            positions=12,
            former_number=FORMER,
        )
    )


def read(xml: bytes) -> StatementFile:
    """Reads a file as `flex import` does."""
    return read_statement_file(io.BufferedReader(io.BytesIO(xml)))


def statements_of(
    life: AccountLife,
    accounts: Sequence[str],
    from_day: date,
    to_day: date,
    at: datetime = LATER,
    query: FlexQuery | None = None,
) -> list[StatementRows]:
    """Returns statements of a life as the history reads them."""
    sources: list[StatementRows] = []
    for event in read_statements(write_statements(life, accounts, from_day, to_day, at, query)):
        if isinstance(event, Statement):
            sources.append(StatementRows(event))
        else:
            sources[-1].add(event)
    return sources


def rows_of(xml: bytes, element: str) -> list[dict[str, str]]:
    """Returns the attributes of all elements of this name."""
    return _rows(xml).get(element, [])


@lru_cache(maxsize=1)
def _rows(xml: bytes) -> dict[str, list[dict[str, str]]]:
    """Parses a file once, however many of its elements a test asks for."""
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    for event in read_statements(xml):
        if isinstance(event, Row):
            rows[event.element].append(event.attributes)
    return dict(rows)


@st.composite
def windows(draw: st.DrawFn) -> tuple[date, date]:
    """Draws the first and the last day of a statement."""
    first = draw(st.dates(FIRST_DAY, LAST_DAY))
    return first, draw(st.dates(first, LAST_DAY))
