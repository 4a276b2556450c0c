"""Ten years of a life, from the archive of its statements into SQLite and PostgreSQL: to the last digit its ledger."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ibkr_tools.flex.statement_archive import StatementArchive
from ibkr_tools.history.database import HistoryDatabase, write_file
from ibkr_tools.history.flows import FlowKind, external_flows
from ibkr_tools.history.periods import Split
from ibkr_tools.history.postgres import PostgresHistory
from ibkr_tools.history.queries import HistoryQueries
from ibkr_tools.history.rebuild import rebuild
from ibkr_tools.history.records import ClosedLot, CorporateAction, Lot, Position, Trade, Transfer
from ibkr_tools.history.return_query import read_returns
from ibkr_tools.history.returns import annualized
from ibkr_tools.history.sections import USED_SECTIONS
from ibkr_tools.history.tables import TABLES
from ibkr_tools.simulator.account_life import known_values
from ibkr_tools.simulator.account_life.flex_query import FlexQuery
from ibkr_tools.simulator.account_life.ledger import Ledger
from ibkr_tools.simulator.account_life.life import AccountLife, LifeOptions
from ibkr_tools.simulator.account_life.statement_writer import write_statements
from tests.support import known_records
from tests.support.known_records import BOOKING_KINDS, rows_of
from tests.support.lives import FIRST, FORMER, read
from tests.support.postgres import needs_postgres

pytestmark = needs_postgres

FIRST_DAY, LAST_DAY = date(2016, 1, 4), date(2025, 12, 31)
AT = datetime.fromisoformat("2026-12-31T06:30")
"""When every correction is known."""

BEFORE_CORRECTIONS = datetime.fromisoformat("2021-01-05T06:30")
QUERY = FlexQuery(sections=frozenset(USED_SECTIONS))


@dataclass(frozen=True)
class TenYears:
    """The life, the databases that its statements have made, and what each had the first time."""

    life: AccountLife
    databases: dict[str, HistoryQueries]
    first: dict[str, dict[type, list[Any]]]

    @property
    def ledgers(self) -> dict[str, Ledger]:
        """The books of each account, with all corrections."""
        return {account: self.life.books(account, AT) for account in self.life.accounts}


def tables(history: HistoryQueries) -> dict[type, list[Any]]:
    return {kind: sorted(history.records(kind), key=repr) for kind in TABLES}


@pytest.fixture(scope="module")
def ten_years(tmp_path_factory: pytest.TempPathFactory, url: str) -> TenYears:
    """A statement a year, and one of 2020 from before its corrections; rebuilt twice."""
    folder = tmp_path_factory.mktemp("ten-years")
    life = AccountLife(
        LifeOptions(
            seed=5, accounts=(FIRST,), first_day=FIRST_DAY, last_day=LAST_DAY, positions=9, former_number=FORMER
        )
    )
    archive = StatementArchive(folder / "statements")
    made = [(year, AT) for year in range(FIRST_DAY.year, LAST_DAY.year + 1)] + [(2020, BEFORE_CORRECTIONS)]
    for year, at in made:
        xml = write_statements(life, life.accounts, date(year, 1, 1), date(year, 12, 31), at, QUERY)
        archive.keep(xml, read(xml).statements)
    postgres = PostgresHistory(url, "geheim")
    databases: dict[str, HistoryQueries] = {
        "SQLite": HistoryDatabase(folder / "history.sqlite"),
        "PostgreSQL": postgres,
    }

    def keep(connection: Any) -> None:
        write_file(folder / "history.sqlite", connection)
        postgres.merge(connection)

    rebuild(archive, folder / "snapshots", keep)
    first = {name: tables(database) for name, database in databases.items()}
    rebuild(archive, folder / "snapshots", keep)
    return TenYears(life, databases, first)


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def history(request: pytest.FixtureRequest, ten_years: TenYears) -> HistoryQueries:
    """Each of the two."""
    return ten_years.databases[request.param]


def found(history: HistoryQueries, kind: type, row_of: Any) -> Counter[tuple[Any, ...]]:
    records: list[Any] = history.records(kind)
    return Counter((record.account, record.day, *row_of(record)) for record in records)


def known(ten_years: TenYears, of: Any) -> Counter[tuple[Any, ...]]:
    ledgers = ten_years.ledgers
    return Counter(row for account in ledgers for row in rows_of(account, of(ledgers[account])))


def test_the_second_rebuild_has_the_rows_of_the_first_and_both_databases_have_the_same(ten_years: TenYears) -> None:
    again = {name: tables(database) for name, database in ten_years.databases.items()}
    assert again == ten_years.first
    assert again["SQLite"] == again["PostgreSQL"]
    assert all(again["SQLite"].values())


def test_values_and_bookings(ten_years: TenYears, history: HistoryQueries) -> None:
    """Income and fees among the latter, with their worth in the base currency."""
    for account, ledger in ten_years.ledgers.items():
        assert {value.day: value.total for value in history.values([account])} == known_values.values(ledger)
        rates = {closed.day: closed for closed in ledger.closes}
        booked = history.bookings(accounts=[account])
        expected = Counter(
            (entry.day, entry.amount, entry.currency, rates[entry.day].in_base(entry.currency, entry.amount))
            for entry in known_values.bookings(ledger, BOOKING_KINDS)
        )
        assert Counter((one.day, one.amount, one.currency, one.amount_in_base) for one in booked) == expected
        kinds = {str(entry.number): entry.kind for entry in known_values.bookings(ledger, BOOKING_KINDS)}
        assert all(one.kind in BOOKING_KINDS[kinds[one.transaction_id]] for one in booked)


def test_flows(ten_years: TenYears, history: HistoryQueries) -> None:
    flows = external_flows(history.bookings(), history.transfers())
    expected = known(
        ten_years, lambda ledger: ((flow.day, (flow.amount, flow.is_internal)) for flow in known_values.flows(ledger))
    )
    rows = [(flow.account, flow.day, flow.amount_in_base, flow.kind is FlowKind.INTERNAL_TRANSFER) for flow in flows]
    assert Counter(rows) == expected


def test_trades_lots_actions_and_transfers(ten_years: TenYears, history: HistoryQueries) -> None:
    for kind, row_of, of in (
        (Trade, known_records.trade_row, known_records.trades_of),
        (ClosedLot, known_records.closed_lot_row, known_records.closed_lots_of),
        (CorporateAction, known_records.action_row, known_records.actions_of),
        (Transfer, known_records.transfer_row, known_records.transfers_of),
    ):
        assert found(history, kind, row_of) == known(ten_years, of)


def test_what_is_held_at_the_end_of_each_year(ten_years: TenYears, history: HistoryQueries) -> None:
    """With the lots that it was bought in."""
    ends = {day for _, day, *_ in found(history, Position, known_records.position_row)}
    assert len(ends) == 10

    def of(rows: Any) -> Counter[tuple[Any, ...]]:
        return Counter(
            (account, closed.day, *row)
            for account, ledger in ten_years.ledgers.items()
            for closed in ledger.closes
            if closed.day in ends
            for row in rows(ledger, closed)
        )

    market = ten_years.life.market
    assert found(history, Position, known_records.position_row) == of(
        lambda ledger, closed: known_records.positions_of(ledger, closed, market)
    )
    assert found(history, Lot, known_records.lot_row) == of(lambda _, closed: known_records.lots_of(closed))


def test_returns(ten_years: TenYears, history: HistoryQueries) -> None:
    """Time-weighted to 1e-9, money-weighted as a bisection finds it, of all the years and of each."""
    measured = read_returns(history, [FIRST])
    by_year = read_returns(history, [FIRST], split=Split.YEAR)
    assert len(by_year) == 10
    ledger = ten_years.ledgers[FIRST]
    for item in [*measured, *by_year]:
        part = item.measured
        assert (part.problem, part.begin.total) == ("", known_values.values(ledger)[part.begin.day])
        first = part.begin.day + timedelta(days=1)
        time_weighted = known_values.time_weighted_return(ledger, first, part.end.day)
        assert part.time_weighted is not None
        assert abs(part.time_weighted - time_weighted) < Decimal("1e-9")
        rate = known_values.money_weighted_rate(ledger, first, part.end.day)
        assert part.money_weighted is not None
        if part.days >= 365:
            assert annualized(part.money_weighted, part.days) == pytest.approx(rate, abs=1e-9)
