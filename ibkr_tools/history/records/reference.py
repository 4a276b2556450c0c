"""What the other records rest on: instruments, and rates of exchange. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal

from ibkr_tools.flex.statement_xml import Row
from ibkr_tools.history.records.row_fields import day_of, number_of, text_of
from ibkr_tools.history.records.statement_context import StatementContext


@dataclass(frozen=True, slots=True)
class Rate:
    """What a unit of a currency was worth in the base currency on a day; only of currencies that the account has."""

    account: str
    day: date
    currency: str
    base_currency: str
    rate: Decimal
    generated_at: str


@dataclass(frozen=True, slots=True)
class Instrument:
    """What is known of an instrument: of each field what the newest statement says that has it.

    `day` is the last one of the newest statement that names the instrument.
    """

    account: str
    conid: str
    day: date
    symbol: str
    description: str
    asset_class: str
    sub_category: str
    currency: str
    isin: str
    cusip: str
    figi: str
    exchange: str
    multiplier: str
    strike: str
    expires_on: str
    put_call: str
    underlying_conid: str
    underlying_symbol: str
    issuer: str
    issuer_country: str
    generated_at: str


DESCRIBING_FIELDS = tuple(
    field.name for field in fields(Instrument) if field.name not in {"account", "conid", "day", "generated_at"}
)
"""Fields of an instrument that a statement may have or not."""

_ATTRIBUTES = {
    "symbol": "symbol",
    "description": "description",
    "asset_class": "assetCategory",
    "sub_category": "subCategory",
    "currency": "currency",
    "isin": "isin",
    "cusip": "cusip",
    "figi": "figi",
    "exchange": "listingExchange",
    "multiplier": "multiplier",
    "strike": "strike",
    "expires_on": "expiry",
    "put_call": "putCall",
    "underlying_conid": "underlyingConid",
    "underlying_symbol": "underlyingSymbol",
    "issuer": "issuer",
    "issuer_country": "issuerCountryCode",
}
"""By the name of a field, the attribute that has it."""

_DESCRIBING_SECTIONS = (
    "SecuritiesInfo",
    "OpenPositions",
    "Trades",
    "CorporateActions",
    "Transfers",
    "CashTransactions",
)
"""Sections whose rows say something about instruments, the best first."""

_DESCRIBED_BY_EVENT = frozenset({"CorporateActions", "CashTransactions"})
"""Sections whose descriptions are of the event, not of the instrument."""


def rates(context: StatementContext, currencies: Collection[str]) -> list[Rate]:
    """Returns the rates of these currencies on the statement's days."""
    return [
        Rate(context.account, day, currency, context.base_currency, rate, context.generated_at)
        for currency, known in sorted(context.rates.items())
        if currency in currencies and currency != context.base_currency
        for day, rate in known
        if context.statement.from_day <= day <= context.statement.to_day
    ]


def used_currencies(rows_by_section: Mapping[str, Sequence[Row]]) -> set[str]:
    """Returns the currencies that the rows of a statement are in."""
    return {
        currency
        for rows in rows_by_section.values()
        for row in rows
        for name in ("currency", "ibCommissionCurrency")
        if (currency := row.attributes.get(name)) and row.element != "ConversionRate"
    }


def instruments(context: StatementContext, rows_by_section: Mapping[str, Iterable[Row]]) -> list[Instrument]:
    """Returns the instruments that the rows of a statement name by a conid, each once.

    What SecuritiesInfo says counts before what the others say.
    """
    known: dict[str, dict[str, str]] = {}
    for section in _DESCRIBING_SECTIONS:
        # One row of a section says as much as the next about the same instrument.
        rows = {
            conid: row for row in rows_by_section.get(section, ()) if (conid := text_of(row, "conid")) and conid != "0"
        }
        for conid, row in rows.items():
            described = known.setdefault(conid, {})
            for field, attribute in _ATTRIBUTES.items():
                if field in described or (field == "description" and section in _DESCRIBED_BY_EVENT):
                    continue
                if value := _value(row, field, attribute):
                    described[field] = value
    return [
        Instrument(
            account=context.account,
            conid=conid,
            day=context.last_day,
            generated_at=context.generated_at,
            **{field: described.get(field, "") for field in DESCRIBING_FIELDS},
        )
        for conid, described in sorted(known.items())
    ]


def _value(row: Row, field: str, attribute: str) -> str:
    if field == "expires_on":
        day = day_of(row, attribute)
        return "" if day is None else day.isoformat()
    if field in {"multiplier", "strike"}:
        number: Decimal | None = number_of(row, attribute)
        return f"{number:f}" if number else ""
    return text_of(row, attribute)
