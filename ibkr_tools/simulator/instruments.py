"""Made-up instruments with the oddities real ones have: types that change, nulls, noise, foreign letters."""

import random
from dataclasses import dataclass, replace
from typing import Any

from ibkr_tools.simulator.json_encoding import fixed

__all__ = ["EXCHANGES", "OWNED", "RATES", "Instrument", "make_instrument", "make_quantity"]

RATES = {"EUR": 1.0, "USD": 0.92, "GBP": 1.17, "CHF": 1.06, "JPY": 0.0061}
"""Value of one unit in the base currency EUR."""

OWNED = {
    "STK": "stockmarketvalue", "OPT": "stockoptionmarketvalue", "FOP": "futureoptionmarketvalue",
    "WAR": "warrantsmarketvalue", "IOPT": "issueroptionsmarketvalue", "BOND": "corporatebondsmarketvalue",
    "BILL": "tbillsmarketvalue", "FUND": "funds", "CRYPTO": "cryptocurrencyvalue", "CMDTY": "commoditymarketvalue",
    "PHYSS": "commoditymarketvalue",
}  # fmt: skip
"""Where the ledger has the market value of what is owned; nothing else is worth its market value."""

_FIRST = "Alpine Baltic Coral Delta Ember Fjord Golden Harbour Indigo Jade Körner Lumière Maple Nordic Ópal".split()  # noqa: SIM905
_SECOND = "Energy Foods Robotics Shipping Software Steel Telecom Textiles Therapeutics Timber Water".split()  # noqa: SIM905
_SECTORS = {"Energy": ("Energy", "Oil&Gas"), "Foods": ("Consumer, Non-cyclical", "Food"),
            "Robotics": ("Industrial", "Machinery-Diversified"), "Shipping": ("Industrial", "Transportation"),
            "Software": ("Technology", "Software"), "Steel": ("Basic Materials", "Iron/Steel"),
            "Telecom": ("Communications", "Telecommunications"), "Textiles": ("Consumer, Cyclical", "Apparel"),
            "Therapeutics": ("Consumer, Non-cyclical", "Biotechnology"),
            "Timber": ("Basic Materials", "Forest Products&Paper"), "Water": ("Utilities", "Water")}  # fmt: skip
_CLASSES = ("STK",) * 14 + ("OPT",) * 3 + ("FUT", "BOND", "FUND", "CRYPTO")
EXCHANGES = {"EUR": "IBIS", "USD": "NASDAQ", "GBP": "LSE", "CHF": "EBS", "JPY": "TSEJ"}
_COUNTRIES = {"EUR": "DE", "USD": "US", "GBP": "GB", "CHF": "CH", "JPY": "JP"}


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument and how much of it is held; prices in `currency`."""

    conid: int
    ticker: str
    name: str
    asset_class: str
    currency: str
    sector: str | None
    group: str | None
    quantity: float
    price: float
    average_cost: float
    realized: float
    multiplier: float | None = None
    expiry: str | None = None
    right: str | None = None
    strike: float = 0.0
    underlying: int = 0

    @property
    def market_value(self) -> float:
        """Quantity times price times multiplier, to the cent."""
        return round(self.quantity * self.price * (self.multiplier or 1.0), 2)

    @property
    def counted(self) -> float:
        """What it adds to the net liquidation value: of a future nothing, its profit is in the cash already."""
        if self.asset_class == "CFD":
            return self.unrealized
        return self.market_value if self.asset_class in OWNED else 0.0

    def numbered(self, conid: int) -> "Instrument":
        """Return the same with another number."""
        return replace(self, conid=conid)

    @property
    def unrealized(self) -> float:
        """Profit not yet taken, to the cent."""
        return round(self.market_value - self.quantity * self.average_cost, 2)

    @property
    def description(self) -> str:
        """What `contractDesc` shows."""
        if self.asset_class == "OPT":
            return f"{self.ticker}    {self.expiry} {self.strike:g} {self.right}"
        return f"{self.ticker} {self.expiry}" if self.expiry else self.ticker

    def short_row(self, account_id: str) -> dict[str, Any]:
        """Return the 21 fields of the short form."""
        return {
            "acctId": account_id, "conid": self.conid, "contractDesc": self.description, "position": self.quantity,
            "mktPrice": self.price, "mktValue": fixed(self.market_value), "currency": self.currency,
            "avgCost": self.average_cost, "avgPrice": self.average_cost / (self.multiplier or 1.0),
            "realizedPnl": self.realized, "unrealizedPnl": self.unrealized, "exchs": None, "expiry": self.expiry,
            "putOrCall": self.right, "multiplier": self.multiplier, "strike": self.strike, "exerciseStyle": None,
            "conExchMap": [], "assetClass": self.asset_class, "undConid": self.underlying, "model": "",
        }  # fmt: skip

    def long_part(self, base: float) -> dict[str, Any]:
        """Return what the long form adds or writes otherwise; `strike` becomes a string.

        `base` is what one unit of the currency is in the account's base currency.
        """
        return {
            "strike": f"{self.strike:g}", "time": 12, "chineseName": "&#x793A;&#x4F8B;&#x516C;&#x53F8;",
            "allExchanges": f"SMART,{EXCHANGES.get(self.currency, '')}",
            "listingExchange": EXCHANGES.get(self.currency, ""),
            "countryCode": _COUNTRIES.get(self.currency, ""), "name": self.name, "lastTradingDay": self.expiry,
            "group": self.group, "sector": self.sector, "sectorGroup": self.group, "ticker": self.ticker,
            "type": "COMMON" if self.asset_class == "STK" else "", "hasOptions": self.asset_class == "STK",
            "fullName": self.description, "isUS": self.currency == "USD", "isEventContract": False,
            "incrementRules": [{"lowerEdge": 0.0, "increment": 0.01}],
            "displayRule": {"magnification": 0,
                            "displayRuleStep": [{"decimalDigits": 2, "lowerEdge": 0.0, "wholeDigits": 4}]},
            "undComp": None, "undSym": self.ticker, "baseMktPrice": self.price * base,
            "baseMktValue": self.market_value * base, "baseAvgCost": self.average_cost * base,
            "baseAvgPrice": self.average_cost / (self.multiplier or 1.0) * base,
            "baseRealizedPnl": self.realized * base,
            "baseUnrealizedPnl": self.unrealized * base,
        }  # fmt: skip

    def row2(self, now: float) -> dict[str, Any]:
        """Return the row of `/portfolio2`; `conid` is a string."""
        return {
            "position": self.quantity, "conid": str(self.conid), "avgCost": round(self.average_cost, 4),
            "avgPrice": round(self.average_cost / (self.multiplier or 1.0), 4), "currency": self.currency,
            "description": self.description, "isLastToLoq": False, "marketPrice": round(self.price, 5),
            "marketValue": self.market_value, "realizedPnl": self.realized, "secType": self.asset_class,
            "timestamp": int(now), "unrealizedPnl": self.unrealized, "assetClass": self.asset_class,
            "sector": self.sector, "group": self.group, "model": "",
        }  # fmt: skip


def make_quantity(rng: random.Random) -> float:
    """Return how much is held. Closed today, short, fractional, plain: the four kinds of quantities seen."""
    return rng.choice((0.0, -3.0, 0.25)) if rng.random() < 0.15 else float(rng.randrange(1, 400))


def make_instrument(rng: random.Random, index: int) -> Instrument:
    """Return the instrument that comes next, and as much of it as the first account holds."""
    second = rng.choice(_SECOND)
    first = _FIRST[index % len(_FIRST)]
    number = index // len(_FIRST)
    asset_class = rng.choice(_CLASSES)
    currency = rng.choice(tuple(RATES))
    sector, group = _SECTORS[second] if asset_class in ("STK", "BOND") else (None, None)
    price = rng.uniform(0.5, 40) if asset_class == "OPT" else rng.uniform(1, 900)
    quantity = make_quantity(rng)
    derivative = asset_class in ("OPT", "FUT")
    multiplier = {"OPT": 100.0, "FUT": 5.0}.get(asset_class, None if index % 2 else 0.0)
    return Instrument(
        conid=100_000 + index * 977 + rng.randrange(900),
        ticker=(first[:2] + second[:2]).upper() + (str(number) if number else ""),
        name=f"{first} {second} AG".upper(),
        asset_class=asset_class,
        currency=currency,
        sector=sector,
        group=group,
        quantity=quantity,
        price=float(f"{price:.7f}"),
        average_cost=price * rng.uniform(0.7, 1.2) * (multiplier or 1.0),
        realized=0.0 if rng.random() < 0.8 else round(rng.uniform(-50, 50), 2),
        multiplier=multiplier,
        expiry="20270618" if derivative else None,
        right=rng.choice(("C", "P")) if asset_class == "OPT" else None,
        strike=float(round(price * 12)) if asset_class == "OPT" else 0.0,
        underlying=rng.randrange(9_000) if derivative else 0,
    )
