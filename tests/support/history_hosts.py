"""Hosts that share a database of PostgreSQL: what they have, and how they bring it."""

from collections.abc import Sequence

from ibkr_tools.history.database import DatabaseStore, new_database
from ibkr_tools.history.postgres import PostgresHistory
from ibkr_tools.history.projection import Projection, StatementRows
from tests.support.flex_statements import Sections, week
from tests.support.history_sources import source

Sources = Sequence[tuple[StatementRows, str]]


def bring(history: PostgresHistory, sources: Sources) -> None:
    """Does what a host with these statements does."""
    with new_database() as connection:
        projection = Projection(DatabaseStore(connection))
        for rows, digest in sources:
            projection.add(rows, digest)
        projection.finish()
        connection.commit()
        history.merge(connection)


def dividend(day: str, amount: str) -> tuple[str, dict[str, str]]:
    row = {"type": "Dividends", "currency": "USD", "fxRateToBase": "0.9", "amount": amount, "reportDate": day}
    return "CashTransaction", row | {"transactionID": amount}


def changed(sections: Sections, **changes: str) -> StatementRows:
    return source(week() | sections, **changes)


OLD = (changed({}), "a")
RESTATED = (
    changed(
        {"CashTransactions": [dividend("20260107", "5.25")], "OpenPositions": []},
        fromDate="20260107",
        whenGenerated="20260201;000000",
    ),
    "b",
)
OTHER_ACCOUNT = (changed({}, accountId="U7654321"), "c")
OTHER_WEEK = (changed({}, fromDate="20260112", toDate="20260116", whenGenerated="20260117;063000"), "d")
