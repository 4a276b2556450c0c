"""The tables of the history: one for each kind of record, with the record's fields as columns."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import sqlalchemy as sa

from ibkr_tools.history.records import (
    AccountValue,
    CashBalance,
    CashBooking,
    ClosedLot,
    CorporateAction,
    Coverage,
    DividendAccrual,
    Instrument,
    Lot,
    NavChange,
    Position,
    Rate,
    Trade,
    Transfer,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

SCHEMA_VERSION = 2
"""Of the tables; a database with another one is made anew."""

METADATA = sa.MetaData()

_T = TypeVar("_T")


class ExactNumber(sa.types.TypeDecorator[Decimal]):
    """A decimal number with all its digits: as text in SQLite, whose own numbers are binary."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: "Dialect") -> Any:
        """Returns the type of the column."""
        return dialect.type_descriptor(sa.Text() if dialect.name == "sqlite" else sa.Numeric())

    def process_bind_param(self, value: Decimal | None, dialect: "Dialect") -> Any:
        """Returns what is sent."""
        return value if value is None or dialect.name != "sqlite" else f"{value:f}"

    def process_result_value(self, value: Any, dialect: "Dialect") -> Decimal | None:
        """Returns the number."""
        del dialect
        return None if value is None else Decimal(value)


_NONE = type(None)


def _column(name: str, hint: Any, *, is_key: bool) -> sa.Column[Any]:
    kinds = {kind for kind in getattr(hint, "__args__", (hint,)) if kind is not _NONE}
    (kind,) = kinds
    column_type: Any = sa.Text
    if kind is Decimal:
        column_type = ExactNumber
    elif kind is date:
        column_type = sa.Date
    elif kind is int:
        column_type = sa.Integer
    return sa.Column(name, column_type, primary_key=is_key, nullable=hint is not kind, autoincrement=False)


def _table(name: str, record: type, *key: str) -> sa.Table:
    hints = get_type_hints(record)
    columns = [_column(field.name, hints[field.name], is_key=field.name in key) for field in fields(record)]
    return sa.Table(name, METADATA, *columns)


TABLES: Mapping[type, sa.Table] = {
    AccountValue: _table("account_value", AccountValue, "account", "day"),
    NavChange: _table("nav_change", NavChange, "account", "day", "from_day"),
    CashBalance: _table("cash_balance", CashBalance, "account", "day", "currency"),
    CashBooking: _table("cash_booking", CashBooking, "account", "day", "number"),
    Position: _table("position", Position, "account", "day", "number"),
    Lot: _table("lot", Lot, "account", "day", "number"),
    Trade: _table("trade", Trade, "account", "day", "number"),
    ClosedLot: _table("closed_lot", ClosedLot, "account", "day", "number"),
    CorporateAction: _table("corporate_action", CorporateAction, "account", "day", "number"),
    Transfer: _table("transfer", Transfer, "account", "day", "number"),
    DividendAccrual: _table("dividend_accrual", DividendAccrual, "account", "day", "number"),
    Rate: _table("rate", Rate, "account", "day", "currency"),
    Instrument: _table("instrument", Instrument, "account", "conid"),
    Coverage: _table("coverage", Coverage, "account", "section", "day"),
}
"""By the kind of record, its table."""

_FIRST_YEAR, _LAST_YEAR = 1970, 2199
"""Days of statements are between; those of a range are counted one by one."""

_MAX_MAGNITUDE = 40
"""Of a number, as a power of ten: no account is worth as much, and all digits of a number are written."""

_MAX_SHOWN = 40
"""In characters, of a value that is named."""


class UnreadableRowError(ValueError):
    """A row has what no program of ours has written; the message names the table, the column and the value."""


def _check_text(value: Any) -> Any:
    if not isinstance(value, str):
        raise TypeError("is no text")
    return value


def _check_whole_number(value: Any) -> Any:
    if not isinstance(value, int):
        raise TypeError("is no whole number")
    return value


def _check_number(value: Any) -> Any:
    if not isinstance(value, Decimal) or not value.is_finite() or value.adjusted() > _MAX_MAGNITUDE:
        raise ValueError("is no amount")
    return value


def _check_day(value: Any) -> Any:
    if not isinstance(value, date) or not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise ValueError("is no day of a statement")
    return value


_CHECKS: Mapping[type, Callable[[Any], Any]] = {
    str: _check_text,
    int: _check_whole_number,
    Decimal: _check_number,
    date: _check_day,
}


def _check_of(hint: Any) -> tuple[Callable[[Any], Any], bool]:
    """Returns what makes a field of a column's value, and whether it may be None."""
    kinds = {kind for kind in getattr(hint, "__args__", (hint,)) if kind is not _NONE}
    (kind,) = kinds
    return _CHECKS.get(kind, kind), hint is not kind


_FIELDS: Mapping[type, Mapping[str, tuple[Callable[[Any], Any], bool]]] = {
    record: {name: _check_of(hint) for name, hint in get_type_hints(record).items()} for record in TABLES
}


def to_row(record: Any) -> dict[str, Any]:
    """Returns a record as a row of its table."""
    return {name: getattr(record, name) for name in _FIELDS[type(record)]}


def from_row(kind: type[_T], row: Mapping[str, Any]) -> _T:
    """Returns a row of a table as the record that it is.

    Raises:
        UnreadableRowError: it is none: others may write to a database that is shared.
    """
    values = {}
    for name, (check, is_optional) in _FIELDS[kind].items():
        value = row[name]
        try:
            values[name] = None if value is None and is_optional else check(value)
        except (ValueError, TypeError) as error:
            shown = f"{value!r}" if len(f"{value!s:.100}") <= _MAX_SHOWN else f"{value!s:.{_MAX_SHOWN}}…"
            why = f"{error}" if check in _CHECKS.values() else "is unknown to this version"
            raise UnreadableRowError(f"table {TABLES[kind].name}, column {name}: {shown} {why}") from None
    return kind(**values)


def read_records(kind: type[_T], rows: Iterable[Any]) -> list[_T]:
    """Returns rows of a table, as they come from the database, as records.

    Raises:
        UnreadableRowError: one is none.
    """
    records = []
    try:
        for row in rows:
            records.append(from_row(kind, row))  # noqa: PERF401 - what fails is mostly the reading of the row
    except UnreadableRowError:
        raise
    except (ValueError, TypeError, ArithmeticError) as error:
        # SQLAlchemy makes days and numbers of SQLite's texts.
        text = f"{error}"[: 2 * _MAX_SHOWN] or type(error).__name__
        raise UnreadableRowError(f"table {TABLES[kind].name}: {text}") from None
    return records
