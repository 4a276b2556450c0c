"""Accounts and positions of a simulated customer, the same ones for the same seed.

Shapes are those of docs/reference/portfolio-answers.md. Nothing here knows about HTTP or sessions.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property
from typing import Any

from ibkr_tools.simulator.catalogue import catalogue
from ibkr_tools.simulator.instruments import OWNED, RATES, Instrument, make_quantity
from ibkr_tools.simulator.json_encoding import FormattedFloat, encode, fixed, scientific
from ibkr_tools.simulator.value_walk import walk_back

__all__ = ["BASE_CURRENCY", "PAGE_SIZE", "Account", "Row", "consolidated_allocation", "first_held", "held_by_all"]

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
_BIG = 9_007_199_254_740_993
"""A whole number that no double holds: whoever reads numbers as doubles writes another."""
_FRESH_S = 10.0
INTEREST = FormattedFloat("1.20")
"""Accrued in each currency, in that currency."""


FUTURES = ("futuremarketvalue", "futuresonlypnl")


def _key(item: Instrument) -> str:
    """Return where the ledger has it; a fund that stays at one is a money fund."""
    return "moneyfunds" if item.asset_class == "FUND" and item.price == 1.0 else OWNED[item.asset_class]


def first_held(index: int, count: int) -> int:
    """Return where in the catalogue the account with this index begins to hold: neighbours share nine tenths."""
    return index * max(1, count // 10)


def held_by_all(accounts: int, count: int) -> int:
    """Return how many contracts so many accounts hold together."""
    return first_held(max(0, accounts - 1), count) + count


class Account:
    """One account with `count` positions. An advisor's `master` account holds nothing but cash."""

    def __init__(
        self, account_id: str, *, seed: int, count: int, index: int = 0, paper: bool = False, master: str = "",
        base: str = BASE_CURRENCY,
    ) -> None:  # fmt: skip
        self.account_id = account_id
        self.paper = paper
        self.master = master
        self.index = index
        self.seed = seed
        self.count = count
        self.base = base
        self._variants: dict[object, Account] = {}
        self._rendered: dict[object, bytes] = {}
        self._rendered_at: dict[str, float] = {}

    def rng(self, purpose: str) -> random.Random:
        """Return random numbers that are the same each time for the same purpose."""
        return random.Random(f"{self.seed}:{self.account_id}:{purpose}")

    @cached_property
    def instruments(self) -> list[Instrument]:
        """What is held."""
        first = first_held(self.index, self.count)
        contracts = catalogue(self.seed).grow(first + self.count)[first : first + self.count]
        if self.index == 0 and not self.paper:
            return contracts
        rng = self.rng("positions")
        return [replace(one, quantity=make_quantity(rng), average_cost=one.average_cost * rng.uniform(0.9, 1.1))
                for one in contracts]  # fmt: skip

    @cached_property
    def held(self) -> list[Instrument]:
        """Every position there is a row of."""
        return self.instruments

    def is_worth(self, _item: Instrument) -> bool:
        """Whether balances know what a position is worth."""
        return True

    def spoiled(self, _item: Instrument, row: Row) -> Row:
        """Return a row with what it has instead of what it should have."""
        return row

    def variant(self, key: object, make: Callable[[], "Account"]) -> "Account":
        """Return the account as it is with other settings, the same one each time."""
        if key not in self._variants:
            self._variants[key] = make()
        return self._variants[key]

    @cached_property
    def rates(self) -> dict[str, float]:
        """Value of one unit of a currency in the account's base currency."""
        if self.base == BASE_CURRENCY:
            return RATES
        return {currency: round(rate / RATES[self.base], 6) for currency, rate in RATES.items()}

    @cached_property
    def by_conid(self) -> dict[int, Instrument]:
        """What is held, by contract number."""
        return {item.conid: item for item in self.held}

    @cached_property
    def cash(self) -> dict[str, float]:
        """Cash balance by currency; one of them is negative."""
        rng = self.rng("cash")
        amounts = {currency: round(rng.uniform(500, 20_000), 2) for currency in ("EUR", "USD", "CHF")}
        amounts["GBP"] = -12.0
        return amounts

    def record(self, *, brokerage_access: bool = True) -> Row:
        """Return the account's entry of `/portfolio/accounts`."""
        title = "Jörg Šimůnek" if self.index % 2 == 0 else "A Sample"
        is_master = self.master == self.account_id
        return {
            "id": self.account_id, "PrepaidCrypto-Z": False, "PrepaidCrypto-P": False,
            "brokerageAccess": brokerage_access, "accountId": self.account_id, "accountVan": self.account_id,
            "accountTitle": title, "displayName": title, "accountAlias": None if self.index % 2 == 0 else "None",
            "accountStatus": OPENED_AT_MS, "currency": self.base, "type": "DEMO" if self.paper else "INDIVIDUAL",
            "tradingType": "STKNOPT", "businessType": "INDEPENDENT", "category": "", "ibEntity": "IB-IE",
            "faclient": bool(self.master), "clearingStatus": "O", "covestor": False, "noClientTrading": False,
            "trackVirtualFXPortfolio": False, "acctCustType": "INDIVIDUAL",
            "parent": {"mmc": [self.master] if self.master and not is_master else [],
                       "accountId": "" if is_master else self.master, "isMParent": is_master,
                       "isMChild": bool(self.master) and not is_master, "isMultiplex": False},
            "desc": self.account_id,
        }  # fmt: skip

    @cached_property
    def short_rows(self) -> list[Row]:
        """All positions in the short form: the first answer, before contract data is loaded."""
        return [self.short_row(item) for item in self.held]

    @cached_property
    def long_rows(self) -> list[Row]:
        """All positions in the long form."""
        return [self.long_row(item) for item in self.held]

    def short_row(self, item: Instrument) -> Row:
        """Return one position in the short form."""
        return self.spoiled(item, item.short_row(self.account_id))

    def long_row(self, item: Instrument) -> Row:
        """Return one position in the long form."""
        long = item.long_part(self.rates.get(item.currency, 0.0))
        return self.spoiled(item, {**item.short_row(self.account_id), **long, "pageSize": PAGE_SIZE})

    def page(
        self, page: int, *, long_form: bool, sort: str = "", descending: bool = False, size: int = PAGE_SIZE
    ) -> bytes:
        """Return page `page` (from 0) of the positions as JSON; `[]` beyond the end."""
        key = (page, long_form, sort, descending, size)
        if key not in self._rendered:
            rows = self._page(page, long_form=long_form, sort=sort, descending=descending, size=size)
            if size != PAGE_SIZE and long_form:
                rows = [row | {"pageSize": size} for row in rows]
            self._rendered[key] = encode(rows)
        return self._rendered[key]

    def _page(self, page: int, *, long_form: bool, sort: str, descending: bool, size: int) -> list[Row]:
        start, end = page * size, (page + 1) * size
        if page < 0:
            return []
        if not sort:
            held = self.held[start:end]
            return [self.long_row(one) if long_form else self.short_row(one) for one in held]
        rows = self.long_rows if long_form else self.short_rows
        if rows and sort in rows[0]:
            rows = sorted(rows, key=lambda row: (row[sort] is None, str(type(row[sort])), row[sort] or 0),
                          reverse=descending)  # fmt: skip
        return rows[start:end]

    def rows2(self, now: float) -> list[Row]:
        """Return all positions as `/portfolio2/{account}/positions` does: other names, and `conid` is a string."""
        return [self.spoiled(item, item.row2(now)) for item in self.held]

    def rendered(self, make: Callable[[float], Any], now: float) -> bytes:
        """Return the JSON of `rows2`, `summary` or `ledger`, made anew when the last one is some seconds old."""
        name, at = make.__name__, now // _FRESH_S
        if self._rendered_at.get(name) != at:
            self._rendered_at[name], self._rendered[name] = at, encode(make(now))
        return self._rendered[name]

    def position(self, conid: int) -> list[Row]:
        """Return the position in `conid`, in the long form, in a list, or `[]`; of each model there is one."""
        return [self.long_row(item) for item in self.held if item.conid == conid]

    def combinations(self) -> list[Row]:
        """Return the one combination there is: two held options, one long, one short; `[]` with fewer."""
        legs = [item for item in self.instruments if item.asset_class == "OPT"][:2]
        if len(legs) < 2:
            return []
        return [{
            "name": "CP.CP00000001", "description": f"1*{legs[0].conid}-1*{legs[1].conid}",
            "legs": [{"conid": str(leg.conid), "ratio": ratio} for leg, ratio in zip(legs, (1, -1), strict=True)],
            "positions": [leg.short_row(self.account_id) for leg in legs],
        }]  # fmt: skip

    @cached_property
    def market_value(self) -> float:
        """What all positions add to the net liquidation value, in the base currency."""
        return round(sum(item.counted * self.rates[item.currency] for item in self.worth), 2)

    @cached_property
    def gross_value(self) -> float:
        """The same, short positions counted as if long."""
        return round(sum(abs(item.counted) * self.rates[item.currency] for item in self.worth), 2)

    @cached_property
    def worth(self) -> list[Instrument]:
        """The positions that balances know the value of."""
        return [item for item in self.held if self.is_worth(item)]

    @property
    def net_liquidation(self) -> float:
        """Positions, cash and what is due in the base currency."""
        return round(self.market_value + self.cash_value + self.interest + self.dividends, 2)

    @cached_property
    def interest(self) -> float:
        """All accrued interest in the base currency."""
        values, _ = self.by_currency
        return round(sum(self.interest_in(one) * self.rates[one] for one in {*self.cash, *values}), 2)

    def interest_in(self, _currency: str) -> FormattedFloat:
        """Return the accrued interest of one currency, in it."""
        return INTEREST

    def dividends_in(self, _currency: str) -> float:
        """Return the dividends of one currency that are due, in it."""
        return 0.0

    @cached_property
    def dividends(self) -> float:
        """All dividends that are due in the base currency."""
        return round(sum(self.dividends_in(currency) * rate for currency, rate in self.rates.items()), 2)

    def past_values(self, days: Sequence[date]) -> list[float]:
        """Return what the account was worth at the end of each of these days; it is worth now what it was last."""
        return walk_back(self.net_liquidation, days, f"{self.seed}:{self.account_id}")

    def past_flows(self, days: Sequence[date]) -> list[tuple[float, float]]:
        """Return what came in and what left (negative) since the day before each of these; nothing for the first."""
        return [(0.0, 0.0)] * len(days)

    @property
    def cash_value(self) -> float:
        """All cash in the base currency."""
        return round(sum(amount * self.rates[currency] for currency, amount in self.cash.items()), 2)

    def summary(self, now: float) -> Row:
        """Return `/portfolio/{account}/summary`: every key bare, `-c` (commodities) and `-s` (securities)."""
        stamp = int(now * 1000)
        total = self.net_liquidation
        known = {"netliquidation": total, "totalcashvalue": self.cash_value, "grosspositionvalue": self.gross_value,
                 "equitywithloanvalue": total, "previousdayequitywithloanvalue": round(total * 0.998, 2),
                 "availablefunds": self.cash_value, "buyingpower": self.cash_value,
                 "excessliquidity": self.cash_value, "accruedcash": self.interest,
                 "accrueddividend": self.dividends}  # fmt: skip

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
            summary[key] = record(amount, None, self.base)
            summary[f"{key}-c"] = record(0.0, None, self.base)
            summary[f"{key}-s"] = record(amount, None, self.base)
        for segment, title in (("c", "Commodities"), ("s", "Securities")):
            summary[f"segmenttitle-{segment}"] = record(0.0, title, None)
            summary[f"columnprio-{segment}"] = record(0.0, "1" if segment == "s" else "2", None)
        summary["leverage-s"] = record(0.0, "1.01", None)
        summary["tradingtype-s"] = record(0.0, "STKNOPT", None)
        return summary

    @cached_property
    def by_currency(self) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
        """What is owned by currency and key of the ledger, and the profit of all positions by currency.

        What the day has brought of futures is `futuresonlypnl` and, as if it were owned, `futuremarketvalue`.
        """
        values: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        profit: dict[str, float] = defaultdict(float)
        for item in self.worth:
            if item.asset_class in OWNED:
                values[item.currency][_key(item)] += item.market_value
            elif item.asset_class in {"FUT", "ICU", "ICS"}:
                for key in FUTURES:
                    values[item.currency][key] += item.unrealized
            profit[item.currency] += item.unrealized if item.asset_class in {*OWNED, "FUT", "ICU", "ICS", "CFD"} else 0
        return values, profit

    def worth_in(self, currency: str) -> float:
        """What is in the net liquidation value of one currency, in it."""
        return sum(item.counted for item in self.worth if item.currency == currency)

    def ledger(self, now: float) -> Row:
        """Return `/portfolio/{account}/ledger`: by currency plus BASE; time stamps in seconds."""
        values, profit = self.by_currency
        ledger: Row = {}
        for currency in sorted({*self.cash, *values}):
            ledger[currency] = self._ledger_row(
                currency, now, self.cash.get(currency, 0.0), values.get(currency, {}), profit.get(currency, 0.0),
                self.worth_in(currency), self.interest_in(currency), self.dividends_in(currency),
            )  # fmt: skip
        base: dict[str, float] = defaultdict(float)
        for currency, by_key in values.items():
            for key, value in by_key.items():
                base[key] += value * self.rates[currency]
        total_profit = sum(value * self.rates[currency] for currency, value in profit.items())
        ledger["BASE"] = self._ledger_row(
            "BASE", now, self.cash_value, base, total_profit, self.market_value, fixed(self.interest), self.dividends
        )
        ledger["BASE"]["endofbundle"] = 1
        ledger["BASE"]["sequence"] = _BIG
        return ledger

    def _ledger_row(
        self, currency: str, now: float, cash: float, values: dict[str, float], profit: float, worth: float,
        interest: FormattedFloat, dividends: float,
    ) -> Row:  # fmt: skip
        rate: float = 1 if currency in ("BASE", self.base) else self.rates[currency]
        zero = ("commoditymarketvalue", "futuremarketvalue", "corporatebondsmarketvalue", "warrantsmarketvalue",
                "stockmarketvalue", "moneyfunds", "realizedpnl", "funds", "issueroptionsmarketvalue",
                "stockoptionmarketvalue", "futuresonlypnl", "tbondsmarketvalue", "futureoptionmarketvalue",
                "cashbalancefxsegment", "tbillsmarketvalue", "cryptocurrencyvalue")  # fmt: skip
        row: Row = dict.fromkeys(zero, 0.0)
        row.update({key: round(value, 2) for key, value in values.items()})
        row.update({
            "settledcash": scientific(cash), "exchangerate": rate, "sessionid": 1, "cashbalance": fixed(cash),
            "interest": interest, "dividends": dividends,
            "netliquidationvalue": round(cash + worth + interest + dividends, 2), "unrealizedpnl": round(profit, 2),
            "currency": currency, "acctcode": self.account_id, "key": "LedgerList", "timestamp": int(now),
            "severity": 0, "secondkey": currency,
        })  # fmt: skip
        return row

    def allocation(self) -> bytes:
        """Return the JSON of `/portfolio/{account}/allocation`: value by class, sector and group, long and short."""
        if "allocation" not in self._rendered:
            self._rendered["allocation"] = encode(consolidated_allocation([self]))
        return self._rendered["allocation"]


def consolidated_allocation(accounts: list[Account]) -> Row:
    """Return the allocation of several accounts together, in the base currency."""
    table: dict[str, dict[str, dict[str, float]]] = {
        name: {"long": defaultdict(float), "short": defaultdict(float)} for name in ("assetClass", "sector", "group")
    }

    def add(name: str, key: str, value: float) -> None:
        if value:
            table[name]["long" if value > 0 else "short"][key] += value

    for account in accounts:
        for item in account.worth:
            value = item.counted * account.rates[item.currency]
            add("assetClass", item.asset_class, value)
            add("sector", item.sector or "Others", value)
            add("group", item.group or "Others", value)
        for currency, amount in account.cash.items():
            add("assetClass", "CASH", amount * account.rates[currency])
    return {name: {side: {key: round(value, 2) for key, value in sorted(by_key.items())}
                   for side, by_key in sides.items()}
            for name, sides in table.items()}  # fmt: skip
