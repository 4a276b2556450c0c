"""A Flex query, as its owner makes it in IBKR's form, and how a statement is written by it. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from xml.sax.saxutils import escape

from ibkr_tools.simulator.account_life.securities import Security

Attributes = Mapping[str, str]
Rows = list[tuple[str, dict[str, str]]]

ISO, PLAIN = "%Y-%m-%d", "%Y%m%d"


@dataclass(frozen=True, slots=True)
class FlexQuery:
    """What a statement has in it.

    `sections` are elements such as `Trades`; None: all. `without` are fields that are not ticked. The levels are those
    of IBKR: SUMMARY and LOT of positions, EXECUTION, CLOSED_LOT, ORDER, SYMBOL_SUMMARY and ASSET_SUMMARY of trades,
    DETAIL and SUMMARY of bookings. `splits_profit`: realized and unrealized profit instead of mark to market.
    """

    name: str = "All"
    sections: frozenset[str] | None = None
    without: frozenset[str] = frozenset()
    position_levels: tuple[str, ...] = ("SUMMARY", "LOT")
    trade_levels: tuple[str, ...] = ("EXECUTION", "CLOSED_LOT")
    booking_levels: tuple[str, ...] = ("DETAIL",)
    date_format: str = PLAIN
    time_format: str = "%H%M%S"
    separator: str = ";"
    breaks_out_days: bool = False
    splits_profit: bool = False

    def has(self, section: str) -> bool:
        """Returns whether a section is ticked."""
        return self.sections is None or section in self.sections

    def day(self, day: date | None) -> str:
        """Returns a day in the query's format; an empty text for None."""
        return "" if day is None else _formatted(day, self.date_format)

    def moment(self, at: datetime) -> str:
        """Returns a day with its time in the query's format."""
        return at.strftime(f"{self.date_format}{self.separator}{self.time_format}")

    def element(self, name: str, attributes: Attributes, *, is_open: bool = False) -> str:
        """Returns an element without what is not ticked."""
        if self.without:
            attributes = {name: value for name, value in attributes.items() if name not in self.without}
        # Hardly any row has a character that XML wants escaped, and statements have a hundred thousand rows.
        if _SPECIAL.search("".join(attributes.values())):
            attributes = {name: escape(value, _QUOTE) for name, value in attributes.items()}
        written = " ".join([f'{attribute}="{value}"' for attribute, value in attributes.items()])
        return f"<{name} {written}{'>' if is_open else ' />'}"


_QUOTE = {'"': "&quot;"}
_SPECIAL = re.compile('[&<>"]')


@lru_cache(maxsize=4096)
def _formatted(day: date, date_format: str) -> str:
    return day.strftime(date_format)


def number(value: Decimal) -> str:
    """Returns a number with all its digits, and no zeros after them."""
    if not value:
        return "0"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def account_attributes(account: str, currency: str, rate: Decimal | None = None) -> dict[str, str]:
    """Returns what says whose a row is, and in which currency."""
    attributes = {"accountId": account, "acctAlias": "", "model": "", "currency": currency}
    if rate is not None:
        attributes["fxRateToBase"] = number(rate)
    return attributes


def security_attributes(query: FlexQuery, security: Security | None) -> dict[str, str]:
    """Returns what says which security a row is of; all are empty where it is of none."""
    if security is None:
        return dict.fromkeys(_NO_SECURITY, "")
    underlying = security.underlying
    return {
        "assetCategory": security.asset_class,
        "subCategory": security.sub_category,
        "symbol": security.symbol,
        "description": security.description,
        "conid": str(security.conid),
        "securityID": security.isin,
        "securityIDType": "ISIN" if security.isin else "",
        "cusip": "",
        "isin": security.isin,
        "figi": "",
        "listingExchange": security.exchange,
        "underlyingConid": str(underlying.conid) if underlying else "",
        "underlyingSymbol": underlying.symbol if underlying else security.symbol,
        "underlyingSecurityID": underlying.isin if underlying else "",
        "underlyingListingExchange": underlying.exchange if underlying else "",
        "issuer": "",
        "issuerCountryCode": security.country,
        "multiplier": number(security.multiplier),
        "strike": number(security.option.strike) if security.option else "",
        "expiry": query.day(security.expiry),
        "putCall": security.option.right if security.option else "",
        "principalAdjustFactor": "",
    }


_NO_SECURITY = (
    *("assetCategory", "subCategory", "symbol", "description", "conid", "securityID", "securityIDType", "cusip"),
    *("isin", "figi", "listingExchange", "underlyingConid", "underlyingSymbol", "underlyingSecurityID"),
    *("underlyingListingExchange", "issuer", "issuerCountryCode", "multiplier", "strike", "expiry", "putCall"),
    "principalAdjustFactor",
)
