"""Reads what returns are measured from out of the history."""

from collections.abc import Sequence
from datetime import date

from ibkr_tools.errors import UsageError
from ibkr_tools.history.benchmark import Benchmark
from ibkr_tools.history.flows import external_flows
from ibkr_tools.history.periods import Split
from ibkr_tools.history.queries import HistoryQueries
from ibkr_tools.history.records import Coverage, NavChange
from ibkr_tools.history.return_report import (
    JOINED,
    PeriodReturn,
    covered_days,
    join_accounts,
    period_returns,
)


def read_returns(
    history: HistoryQueries,
    accounts: Sequence[str] = (),
    first: date | None = None,
    last: date | None = None,
    *,
    split: Split | None = None,
    together: bool = False,
    benchmark: Benchmark | None = None,
) -> list[PeriodReturn]:
    """Returns the return of each account in each period; see `return_report.period_returns`.

    Args:
        history: the database.
        accounts: only these; none: all.
        first: only from this day on; the first period begins with the last close before it.
        last: only until this day.
        split: into months or years; None: one period.
        together: all the accounts as one, `JOINED`.
        benchmark: prices to compare with.

    Raises:
        UsageError: accounts with different base currencies cannot be shown as one.
        SnapshotMissing, ConfigError, DataError: see `HistoryQueries.values`.
    """
    values = history.closes_from(accounts, first, last)
    names = sorted({value.account for value in values})
    coverage = history.records(Coverage, accounts)
    covered = {name: covered_days(name, coverage) for name in names}
    flows = external_flows(
        history.bookings(accounts=accounts), history.transfers(accounts), together=names if together else ()
    )
    if together:
        try:
            values, covered[JOINED] = join_accounts(values, covered)
        except ValueError as error:
            raise UsageError(f"these accounts cannot be shown as one: {error}") from error
        flows = [flow.of(JOINED) for flow in flows]
    changes = history.records(NavChange, accounts)
    return period_returns(values, flows, covered, changes, split=split, benchmark=benchmark)
