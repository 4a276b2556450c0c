"""What a snapshot says about money: base currencies, rates to them, cash, the net liquidation value. Pure.

Nothing is guessed: what the snapshot does not say is None.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from ibkr_tools.number_format import exact_product, exact_sum, parse_number, single_line

__all__ = ["BASE", "POSITION_VALUE_LABELS", "Balances", "Cash"]

BASE = "BASE"
"""What the ledger calls the sum over all currencies, in the base currency."""

POSITION_VALUE_LABELS: Mapping[str, str] = {
    "stockmarketvalue": "Stocks",
    "stockoptionmarketvalue": "Options",
    "futureoptionmarketvalue": "Future options",
    "corporatebondsmarketvalue": "Bonds",
    "tbondsmarketvalue": "T-bonds",
    "tbillsmarketvalue": "T-bills",
    "funds": "Funds",
    "moneyfunds": "Money funds",
    "warrantsmarketvalue": "Warrants",
    "issueroptionsmarketvalue": "Issuer options",
    "commoditymarketvalue": "Commodities",
    "cryptocurrencyvalue": "Crypto",
}
"""The keys of a ledger that say what is owned. `futuremarketvalue` is none: profit and loss of futures are cash."""

MINOR_UNITS = {"GBX": "GBP", "GBp": "GBP", "ZAC": "ZAR", "ILA": "ILS"}
"""A hundredth of a currency, under a name of its own: pence, cents and agorot of exchanges that quote in them."""


class Cash(msgspec.Struct, frozen=True, kw_only=True):
    """What an account has besides positions, in the base currency: None is what IBKR did not state.

    `futures_pnl`, the day's, is in `cash` already. `forex_cash` is that of a segment of its own; IBKR says nowhere
    whether it is in `cash` too. `position_value` is what the ledger has in positions.
    """

    cash: Decimal | None
    dividends: Decimal | None
    interest: Decimal | None
    futures_pnl: Decimal | None
    forex_cash: Decimal | None
    position_value: Decimal | None


class Balances:
    """Accounts, ledgers and summaries of one snapshot; `Snapshot.balances` makes them."""

    def __init__(self, parts: Mapping[str, Any] | None = None, accounts: Sequence[str] = ()) -> None:
        """Reads the balances.

        Args:
            parts: the snapshot's `accounts`, `ledger` and `summary` with exact numbers, as far as it has them.
            accounts: the numbers of the accounts that the snapshot covers.
        """
        parts = parts or {}
        self._ledgers = _objects_by_account(parts.get("ledger"))
        self._summaries = _objects_by_account(parts.get("summary"))
        listed = parts.get("accounts")
        rows = listed if isinstance(listed, list) else []
        self._currencies = {
            single_line(row.get("id") or row.get("accountId")): single_line(row.get("currency"))
            for row in rows
            if isinstance(row, dict)
        }
        self._known = {*self._ledgers, *self._summaries, *accounts}
        self._rates: dict[tuple[str, str], Decimal | None] = {}

    def owner(self, stated: str) -> str:
        """Returns the account that a row belongs to: of a segment such as U1234567C, the account."""
        return stated[:-1] if stated not in self._known and stated[:-1] in self._known else stated

    def base(self, account: str) -> str:
        """Returns the account's base currency; empty if it is not known."""
        stated = self._record(self._summaries, account, "netliquidation").get("currency")
        currency = single_line(stated) or self._currencies.get(account, "")
        return "" if currency == BASE else currency

    def rate(self, account: str, currency: str) -> Decimal | None:
        """Returns how much of the base currency one unit is, by the account's ledger."""
        key = (account, currency)
        if key not in self._rates:
            self._rates[key] = self._rate(account, currency)
        return self._rates[key]

    def _rate(self, account: str, currency: str) -> Decimal | None:
        base = self.base(account)
        if not base or not currency:
            return None
        if currency == base:
            return Decimal(1)
        rate = parse_number(self.ledger(account, currency).get("exchangerate"))
        if rate is not None and rate > 0:
            return rate
        if currency in MINOR_UNITS:
            return exact_product(self.rate(account, MINOR_UNITS[currency]), Decimal("0.01"))
        return None

    def ledger(self, account: str, currency: str) -> Mapping[str, Any]:
        """Returns one row of the ledger; empty if there is none."""
        return self._record(self._ledgers, account, currency)

    def net_liquidation(self, account: str) -> Decimal | None:
        """Returns the account's net liquidation value in its base currency, by its ledger or its summary."""
        by_ledger = parse_number(self.ledger(account, BASE).get("netliquidationvalue"))
        if by_ledger is not None:
            return by_ledger
        return parse_number(self._record(self._summaries, account, "netliquidation").get("amount"))

    def cash(self, account: str) -> Cash | None:
        """Returns what the account has besides positions, by its ledger or its summary; None without both."""
        row = self.ledger(account, BASE)
        if not row:
            return self._cash_by_summary(account)
        interest = row.get("interest", row.get("accruals"))
        position_value = [parse_number(row[key]) for key in POSITION_VALUE_LABELS if key in row]
        return Cash(
            cash=parse_number(row.get("cashbalance")),
            dividends=parse_number(row.get("dividends", 0)),
            interest=parse_number(0 if interest is None else interest),
            futures_pnl=parse_number(row.get("futuresonlypnl", 0)),
            forex_cash=parse_number(row.get("cashbalancefxsegment", 0)),
            position_value=None if None in position_value else exact_sum(position_value),
        )

    def _cash_by_summary(self, account: str) -> Cash | None:
        def stated(key: str) -> Decimal | None:
            record = self._record(self._summaries, account, key)
            return parse_number(record.get("amount", 0))

        if not self._record(self._summaries, account, "totalcashvalue"):
            return None
        return Cash(
            cash=stated("totalcashvalue"),
            dividends=stated("accrueddividend"),
            interest=stated("accruedcash"),
            futures_pnl=None,
            forex_cash=None,
            position_value=None,
        )

    @staticmethod
    def _record(by_account: Mapping[str, Any], account: str, key: str) -> Mapping[str, Any]:
        records = by_account.get(account)
        record = records.get(key) if isinstance(records, dict) else None
        return record if isinstance(record, dict) else {}


def _objects_by_account(payload: object) -> Mapping[str, Any]:
    return payload if isinstance(payload, dict) else {}
