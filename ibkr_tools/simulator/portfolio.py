"""Accounts and positions of a simulated customer, the same ones for the same seed.

Shapes are those of cpapi-facts sections 3.1 to 3.8. Nothing here knows about HTTP or sessions.
"""

import random
from collections import defaultdict
from functools import cached_property
from typing import Any

from ibkr_tools.simulator.instruments import RATES, Instrument, make_instruments

__all__ = ["PAGE_SIZE", "Account", "Row", "consolidated_allocation"]

Row = dict[str, Any]

PAGE_SIZE = 100
BASE_CURRENCY = "EUR"
OPENED_AT_MS = 1_769_922_000_000

_AMOUNT_KEYS = tuple(
    """
    accruedcash accrueddividend availablefunds availabletotrade availabletowithdraw billable buyingpower
    depositoncredithold equitywithloanvalue excessliquidity fullavailablefunds fullexcessliquidity
    fullinitmarginreq fullmaintmarginreq grosspositionvalue guarantee indianstockhaircut initmarginreq
    lookaheadavailablefunds lookaheadexcessliquidity lookaheadinitmarginreq lookaheadmaintmarginreq
    maintmarginreq netliquidation netliquidationuncertainty nlvandmargininreview pasharesvalue
    physicalcertificatevalue postexpirationexcess postexpirationmargin previousdayequitywithloanvalue
    regtequity regtmargin sma totalcashvalue totaldebitcardpendingcharges
    """.split()  # noqa: SIM905
)
_MARKET_VALUE_KEYS = {
    "STK": "stockmarketvalue",
    "OPT": "stockoptionmarketvalue",
    "FUT": "futuremarketvalue",
    "BOND": "corporatebondsmarketvalue",
    "FUND": "funds",
    "CRYPTO": "cryptocurrencyvalue",
}


class Account:
    """One account with `count` positions."""

    def __init__(self, account_id: str, *, seed: int, count: int, index: int = 0, paper: bool = False) -> None:
        self.account_id = account_id
        self.paper = paper
        self._index = index
        self._count = count
        self._random_seed = f"{seed}:{account_id}"

    @cached_property
    def instruments(self) -> list[Instrument]:
        """What is held."""
        return make_instruments(random.Random(self._random_seed), self._count)

    @cached_property
    def cash(self) -> dict[str, float]:
        """Cash balance by currency; one of them is negative."""
        rng = random.Random(self._random_seed + ":cash")
        amounts = {currency: round(rng.uniform(500, 20_000), 2) for currency in ("EUR", "USD", "CHF")}
        amounts["GBP"] = -12.0
        return amounts

    def record(self, *, brokerage_access: bool = True) -> Row:
        """Return the account's entry of `/portfolio/accounts`."""
        title = "Jörg Šimůnek" if self._index % 2 == 0 else "A Sample"
        return {
            "id": self.account_id, "PrepaidCrypto-Z": False, "PrepaidCrypto-P": False,
            "brokerageAccess": brokerage_access, "accountId": self.account_id, "accountVan": self.account_id,
            "accountTitle": title, "displayName": title, "accountAlias": None if self._index % 2 == 0 else "None",
            "accountStatus": OPENED_AT_MS, "currency": BASE_CURRENCY, "type": "DEMO" if self.paper else "INDIVIDUAL",
            "tradingType": "STKNOPT", "businessType": "INDEPENDENT", "category": "", "ibEntity": "IB-IE",
            "faclient": False, "clearingStatus": "O", "covestor": False, "noClientTrading": False,
            "trackVirtualFXPortfolio": False, "acctCustType": "INDIVIDUAL",
            "parent": {"mmc": [], "accountId": "", "isMParent": False, "isMChild": False, "isMultiplex": False},
            "desc": self.account_id,
        }  # fmt: skip

    @cached_property
    def short_rows(self) -> list[Row]:
        """All positions in the short form: the first answer, before contract data is loaded."""
        return [item.short_row(self.account_id) for item in self.instruments]

    @cached_property
    def long_rows(self) -> list[Row]:
        """All positions in the long form."""
        return [{**item.short_row(self.account_id), **item.long_part(), "pageSize": PAGE_SIZE}
                for item in self.instruments]  # fmt: skip

    def page(self, page: int, *, long_form: bool, sort: str = "", descending: bool = False) -> list[Row]:
        """Return page `page` (from 0) of the positions; `[]` beyond the end."""
        rows = self.long_rows if long_form else self.short_rows
        if sort and rows and sort in rows[0]:
            rows = sorted(rows, key=lambda row: (row[sort] is None, str(type(row[sort])), row[sort] or 0),
                          reverse=descending)  # fmt: skip
        return rows[page * PAGE_SIZE : (page + 1) * PAGE_SIZE] if page >= 0 else []

    def rows2(self, now: float) -> list[Row]:
        """Return all positions as `/portfolio2/{account}/positions` does: other names, and `conid` is a string."""
        return [item.row2(now) for item in self.instruments]

    def position(self, conid: int) -> list[Row]:
        """Return the one position in `conid`, in a list, or `[]`."""
        return [row for row in self.long_rows if row["conid"] == conid]

    @property
    def market_value(self) -> float:
        """Value of all positions in the base currency."""
        return round(sum(item.market_value * RATES[item.currency] for item in self.instruments), 2)

    @property
    def cash_value(self) -> float:
        """All cash in the base currency."""
        return round(sum(amount * RATES[currency] for currency, amount in self.cash.items()), 2)

    def summary(self, now: float) -> Row:
        """Return `/portfolio/{account}/summary`: every key bare, `-c` (commodities) and `-s` (securities)."""
        stamp = int(now * 1000)
        total = round(self.market_value + self.cash_value, 2)
        gross = round(sum(abs(item.market_value) * RATES[item.currency] for item in self.instruments), 2)
        known = {"netliquidation": total, "totalcashvalue": self.cash_value, "grosspositionvalue": gross,
                 "equitywithloanvalue": total, "previousdayequitywithloanvalue": round(total * 0.998, 2),
                 "availablefunds": self.cash_value, "buyingpower": self.cash_value,
                 "excessliquidity": self.cash_value}  # fmt: skip

        def record(amount: float, value: str | None, currency: str | None) -> Row:
            return {"amount": amount, "currency": currency, "isNull": False, "timestamp": stamp, "value": value,
                    "severity": 0}  # fmt: skip

        summary: Row = {
            "accountcode": record(0.0, self.account_id, None),
            "accountready": record(0.0, "true", None),
            "accounttype": record(0.0, "INDIVIDUAL", None),
            "cushion": record(0.0, "0.97", None),
            "highestseverity": record(0.0, "0", None),
            "lookaheadnextchange": record(0.0, "0", None),
            "whatifpmenabled": record(0.0, "true", None),
            "daytradesremaining": record(0.0, "-1", None),
        }
        for key in _AMOUNT_KEYS:
            amount = known.get(key, 0.0)
            summary[key] = record(amount, None, BASE_CURRENCY)
            summary[f"{key}-c"] = record(0.0, None, BASE_CURRENCY)
            summary[f"{key}-s"] = record(amount, None, BASE_CURRENCY)
        for segment, title in (("c", "Commodities"), ("s", "Securities")):
            summary[f"segmenttitle-{segment}"] = record(0.0, title, None)
            summary[f"columnprio-{segment}"] = record(0.0, "1" if segment == "s" else "2", None)
        summary["leverage-s"] = record(0.0, "1.01", None)
        summary["tradingtype-s"] = record(0.0, "STKNOPT", None)
        return summary

    def ledger(self, now: float) -> Row:
        """Return `/portfolio/{account}/ledger`: by currency plus BASE; time stamps in seconds."""
        values: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        profit: dict[str, float] = defaultdict(float)
        for item in self.instruments:
            values[item.currency][_MARKET_VALUE_KEYS[item.asset_class]] += item.market_value
            profit[item.currency] += item.unrealized
        ledger: Row = {}
        for currency in sorted({*self.cash, *values}):
            ledger[currency] = self._ledger_row(currency, now, self.cash.get(currency, 0.0), values[currency],
                                                profit[currency])  # fmt: skip
        base: dict[str, float] = defaultdict(float)
        for currency, by_key in values.items():
            for key, value in by_key.items():
                base[key] += value * RATES[currency]
        total_profit = sum(value * RATES[currency] for currency, value in profit.items())
        ledger["BASE"] = self._ledger_row("BASE", now, self.cash_value, base, total_profit)
        ledger["BASE"]["endofbundle"] = 1
        return ledger

    def _ledger_row(self, currency: str, now: float, cash: float, values: dict[str, float], profit: float) -> Row:
        rate: float = 1 if currency in ("BASE", BASE_CURRENCY) else RATES[currency]
        zero = ("commoditymarketvalue", "futuremarketvalue", "corporatebondsmarketvalue", "warrantsmarketvalue",
                "stockmarketvalue", "moneyfunds", "realizedpnl", "funds", "issueroptionsmarketvalue",
                "stockoptionmarketvalue", "futuresonlypnl", "tbondsmarketvalue", "futureoptionmarketvalue",
                "cashbalancefxsegment", "tbillsmarketvalue", "dividends", "cryptocurrencyvalue")  # fmt: skip
        row: Row = dict.fromkeys(zero, 0.0)
        row.update({key: round(value, 2) for key, value in values.items()})
        row.update({
            "settledcash": cash, "exchangerate": rate, "sessionid": 1, "cashbalance": cash, "interest": 1.2,
            "netliquidationvalue": round(cash + sum(values.values()), 2), "unrealizedpnl": round(profit, 2),
            "currency": currency, "acctcode": self.account_id, "key": "LedgerList", "timestamp": int(now),
            "severity": 0, "secondkey": currency,
        })  # fmt: skip
        return row

    def allocation(self) -> Row:
        """Return `/portfolio/{account}/allocation`: value by asset class, sector and group, long and short."""
        return consolidated_allocation([self])


def consolidated_allocation(accounts: list[Account]) -> Row:
    """Return the allocation of several accounts together, in the base currency."""
    table: dict[str, dict[str, dict[str, float]]] = {
        name: {"long": defaultdict(float), "short": defaultdict(float)} for name in ("assetClass", "sector", "group")
    }

    def add(name: str, key: str, value: float) -> None:
        if value:
            table[name]["long" if value > 0 else "short"][key] += value

    for account in accounts:
        for item in account.instruments:
            value = item.market_value * RATES[item.currency]
            add("assetClass", item.asset_class, value)
            add("sector", item.sector or "Others", value)
            add("group", item.group or "Others", value)
        for currency, amount in account.cash.items():
            add("assetClass", "CASH", amount * RATES[currency])
    return {name: {side: {key: round(value, 2) for key, value in sorted(by_key.items())}
                   for side, by_key in sides.items()}
            for name, sides in table.items()}  # fmt: skip
