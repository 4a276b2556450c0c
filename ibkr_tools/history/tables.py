"""The tables of the history: one for each kind of record, with the record's fields as columns."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from decimal import Decimal
from enum import StrEnum
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

_ENUMS: Mapping[type, Mapping[str, type[StrEnum]]] = {
    record: {
        name: hint
        for name, hint in get_type_hints(record).items()
        if isinstance(hint, type) and issubclass(hint, StrEnum)
    }
    for record in TABLES
}

_FIELDS = {record: tuple(field.name for field in fields(record)) for record in TABLES}


def to_row(record: Any) -> dict[str, Any]:
    """Returns a record as a row of its table."""
    return {name: getattr(record, name) for name in _FIELDS[type(record)]}


def from_row(kind: type[_T], row: Mapping[str, Any]) -> _T:
    """Returns a row of a table as the record that it is."""
    enums = _ENUMS[kind]
    return kind(**{name: enums[name](value) if name in enums else value for name, value in row.items()})
