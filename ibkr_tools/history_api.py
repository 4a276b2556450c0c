"""The account over time, for scripts and notebooks: what `from ibkr_tools import History` gives."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ibkr_tools.config.loader import load_config
from ibkr_tools.config.secrets import read_database_password
from ibkr_tools.directories import find_directories
from ibkr_tools.errors import UsageError
from ibkr_tools.history.benchmark import read_benchmark
from ibkr_tools.history.flows import ExternalFlow, external_flows
from ibkr_tools.history.history_location import open_history
from ibkr_tools.history.periods import Split
from ibkr_tools.history.records import INCOME_KINDS, AccountValue, CashBooking, CashKind, Position, Trade
from ibkr_tools.history.return_query import read_returns
from ibkr_tools.history.return_report import PeriodReturn

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd

_Record = TypeVar("_Record", AccountValue, CashBooking, ExternalFlow, PeriodReturn, Position, Trade)

Day = date | str
"""A day, or its text: 2026-01-31."""


class Records(list[_Record]):
    """Records of one kind, in the order of account and day."""

    def to_pandas(self, *, exact: bool = False) -> "pd.DataFrame":
        """Returns them as a DataFrame with a column for each field; `day` is a datetime64.

        Args:
            exact: leave numbers as Decimals, in columns of objects, instead of floats.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise UsageError("to_pandas() needs pandas", hint="pip install pandas") from None
        rows = [{name: _cell(value, exact=exact) for name, value in _flat(asdict(record))} for record in self]
        frame = pd.DataFrame(rows)
        for column in frame.columns:
            if any(isinstance(row[column], date) for row in rows):
                frame[column] = pd.to_datetime(frame[column])
        return frame


class History:
    """The account over time, as the statements that were imported have it; nothing is sent.

        History().values(start="2026-01-01").to_pandas().plot(x="day", y="total")

    Every method takes `account`, one or several, none for all, and `start` and `end`, the first and the last day.
    Every method raises SnapshotMissing if nothing was imported yet, ConfigError if this user may not read it, and
    DataError if it is damaged.
    """

    def __init__(
        self, config: "str | PathLike[str] | None" = None, *, state_dir: "str | PathLike[str] | None" = None
    ) -> None:
        """Prepares it; nothing is read yet but the configuration.

        Args:
            config: the configuration, which may name a database; default: where `ibkr-tools` looks.
            state_dir: where the file of the history is; default: where `ibkr-tools` looks.

        Raises:
            ConfigError: the configuration is wrong or cannot be read.
        """
        directories = find_directories(state=Path(state_dir) if state_dir else None)
        file = Path(config) if config else directories.config_file
        loaded = load_config(file) if os.access(file, os.F_OK) else None
        self._database = open_history(
            directories.history, loaded, lambda: None if loaded is None else read_database_password(file, loaded)
        )

    def values(
        self, account: str | Sequence[str] = (), start: Day | None = None, end: Day | None = None
    ) -> Records[AccountValue]:
        """Returns what the accounts were worth at the end of each day, in their base currency."""
        return Records(self._database.values(_accounts(account), _day(start), _day(end)))

    def bookings(
        self,
        kinds: Iterable[CashKind | str] = tuple(CashKind),
        account: str | Sequence[str] = (),
        start: Day | None = None,
        end: Day | None = None,
    ) -> Records[CashBooking]:
        """Returns bookings of cash of these kinds: deposit, dividend, tax, interest, fee, other."""
        chosen = [_one_of(CashKind, kind, "kinds") for kind in ([kinds] if isinstance(kinds, str) else kinds)]
        return Records(self._database.bookings(chosen, _accounts(account), _day(start), _day(end)))

    def income(
        self, account: str | Sequence[str] = (), start: Day | None = None, end: Day | None = None
    ) -> Records[CashBooking]:
        """Returns dividends, interest, the taxes withheld from them, and what is of no other kind."""
        return self.bookings(INCOME_KINDS, account, start, end)

    def fees(
        self, account: str | Sequence[str] = (), start: Day | None = None, end: Day | None = None
    ) -> Records[CashBooking]:
        """Returns fees that are booked by themselves; the commissions of trades are not among them."""
        return self.bookings((CashKind.FEE,), account, start, end)

    def flows(
        self, account: str | Sequence[str] = (), start: Day | None = None, end: Day | None = None
    ) -> Records[ExternalFlow]:
        """Returns what came in from outside and what left: deposits, withdrawals and transfers."""
        chosen = (_accounts(account), _day(start), _day(end))
        return Records(
            external_flows(self._database.bookings(tuple(CashKind), *chosen), self._database.transfers(*chosen))
        )

    def trades(
        self, account: str | Sequence[str] = (), start: Day | None = None, end: Day | None = None
    ) -> Records[Trade]:
        """Returns the trades, execution by execution."""
        return Records(self._database.trades(_accounts(account), _day(start), _day(end)))

    def positions(self, on: Day | None = None, account: str | Sequence[str] = ()) -> Records[Position]:
        """Returns the positions at the end of a day, or of the last known one before it; default: of the newest."""
        by_account = self._database.positions(_accounts(account), _day(on))
        return Records(position for _, positions in by_account.values() for position in positions)

    def returns(
        self,
        by: Split | str | None = None,
        account: str | Sequence[str] = (),
        start: Day | None = None,
        end: Day | None = None,
        *,
        together: bool = False,
        benchmark: "str | PathLike[str] | None" = None,
    ) -> Records[PeriodReturn]:
        """Returns the returns of all days, or of each `month` or `year`; docs/history.md says how they are measured.

        Args:
            by: `month` or `year`.
            account: as everywhere.
            start: as everywhere; the first period begins with the last close before it.
            end: as everywhere.
            together: all the accounts as one.
            benchmark: a CSV file with prices to compare with.
        """
        return Records(
            read_returns(
                self._database,
                _accounts(account),
                _day(start),
                _day(end),
                split=None if by is None else _one_of(Split, by, "by"),
                together=together,
                benchmark=None if benchmark is None else read_benchmark(Path(benchmark)),
            )
        )


def _accounts(account: str | Sequence[str]) -> Sequence[str]:
    return [account] if isinstance(account, str) else account


def _day(day: Day | None) -> date | None:
    if day is None or isinstance(day, date):
        return day
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise UsageError(f"{day!r} is no day such as 2026-01-31") from None


_Name = TypeVar("_Name", CashKind, Split)


def _one_of(kind: type[_Name], name: "_Name | str", where: str) -> "_Name":
    try:
        return kind(name)
    except ValueError:
        raise UsageError(f"{where}: {name!r}: expected one of {', '.join(kind)}") from None


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields fields; those of a record in a record have its name in front."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}_")
        else:
            yield f"{prefix}{name}", value


def _cell(value: Any, *, exact: bool) -> Any:
    return float(value) if isinstance(value, Decimal) and not exact else value
