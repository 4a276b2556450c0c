"""What can be held, as IBKR describes it. Pure."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class OptionTerms:
    """What an option is an option on; `right` is C or P."""

    underlying: "Security"
    strike: Decimal
    right: str


@dataclass(frozen=True, slots=True)
class Security:
    """One contract. `conid` is its identity; symbol and ISIN may change.

    `price_unit` is what a price of 1 is worth: prices of bonds are percent. `coupon` is a bond's, a year, in percent.
    """

    conid: int
    symbol: str
    description: str
    asset_class: str
    sub_category: str
    currency: str
    exchange: str
    isin: str = ""
    multiplier: Decimal = ONE
    price_unit: Decimal = ONE
    country: str = ""
    coupon: Decimal = Decimal(0)
    expiry: date | None = None
    option: OptionTerms | None = field(default=None, repr=False)

    @property
    def underlying(self) -> "Security | None":
        """Returns what it is an option on; None: it is none."""
        return self.option.underlying if self.option else None

    def value(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Returns what a quantity costs at a price, in the security's currency."""
        return quantity * price * self.multiplier * self.price_unit

    @property
    def is_settled_daily(self) -> bool:
        """Whether each day's profit goes to the cash, so that the position itself is worth nothing."""
        return self.asset_class == "FUT"


PARTS = {"STK": "stock", "OPT": "options", "BOND": "bonds", "FUND": "funds"}
"""The part of the net asset value that positions of a class are in."""

_EXCHANGES = {"EUR": "IBIS2", "USD": "NASDAQ", "GBP": "LSE", "CHF": "EBS", "JPY": "TSEJ"}
_COUNTRIES = {"EUR": "DE", "USD": "US", "GBP": "GB", "CHF": "CH", "JPY": "JP"}
_FIRST = ("Alpine", "Baltic", "Coral", "Delta", "Ember", "Fjord", "Golden", "Harbour", "Indigo", "Jade", "Körner")
_SECOND = ("Energy", "Foods", "Robotics", "Shipping", "Software", "Steel", "Telecom", "Timber", "Water")


def make_isin(country: str, number: int) -> str:
    """Returns an ISIN with its check digit."""
    body = f"{country}{number:09d}"
    digits = "".join(str(int(letter, 36)) for letter in body)
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 - place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return f"{body}{-total % 10}"


def make_security(index: int, conid: int, currency: str, kind: str, version: int = 0) -> Security:
    """Returns a share, an ETF, a bond or a fund; `version` counts the numbers that it had before this one."""
    first, second = _FIRST[index % len(_FIRST)], _SECOND[index % len(_SECOND)]
    letters = f"{first[:2]}{second[:2]}".upper().replace("Ö", "O")
    country = _COUNTRIES[currency]
    name = f"{first} {second} {'AG' if currency == 'EUR' else 'CORP'}".upper().replace("Ö", "O")
    symbol = f"{letters}{index}{'N' * version}"
    isin = make_isin(country, index * 10 + version + 1)
    exchange = _EXCHANGES[currency]
    match kind:
        case "BOND":
            coupon = Decimal(1 + index % 5)
            return Security(
                *(conid, f"{letters} {coupon} 09/15/49", f"{name} {coupon} 09/15/49", "BOND", "Corp", currency),
                *(exchange, isin),
                price_unit=Decimal("0.01"),
                country=country,
                coupon=coupon,
            )
        case "ETF":
            name, sub_category = f"{first} {second} & WORLD UCITS ETF".upper().replace("Ö", "O"), "ETF"
        case "FUND":
            return Security(*(conid, symbol, f"{name} FUND", "FUND", "", currency, "FUNDSERV", isin), country=country)
        case _:
            sub_category = "COMMON"
    return Security(conid, symbol, name, "STK", sub_category, currency, exchange, isin, country=country)


def make_option(conid: int, underlying: Security, expiry: date, strike: Decimal, right: str) -> Security:
    """Returns an option of a hundred; its symbol has 21 characters."""
    root = underlying.symbol[:6]
    return Security(
        conid,
        f"{root:<6}{expiry:%y%m%d}{right}{int(strike * 1000):08d}",
        f"{root} {expiry:%d%b%y} {strike:f} {right}".upper(),
        "OPT",
        right,
        underlying.currency,
        "CBOE",
        multiplier=Decimal(100),
        expiry=expiry,
        option=OptionTerms(underlying, strike, right),
    )


def make_future(conid: int, currency: str, expiry: date) -> Security:
    """Returns a future of five."""
    symbol = f"M{currency[:2]}{'FGHJKMNQUVXZ'[expiry.month - 1]}{expiry.year % 10}"
    return Security(
        conid,
        symbol,
        f"{symbol} {expiry:%d%b%y}".upper(),
        "FUT",
        "",
        currency,
        "CME",
        multiplier=Decimal(5),
        expiry=expiry,
    )
