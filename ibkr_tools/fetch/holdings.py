"""All positions as figures, and what they are worth together. Pure.

What is not known is in no sum, and each sum says what it is without.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any, overload

import msgspec

from ibkr_tools.fetch.asset_classes import PositionRole
from ibkr_tools.fetch.balances import Balances
from ibkr_tools.fetch.reconciliation import Reconciliation, reconcile
from ibkr_tools.fetch.valuation import Holding, classify_funds, parse_holding
from ibkr_tools.number_format import exact_sum, ratio

__all__ = ["BaseCurrencyTotal", "Holding", "Holdings", "describe_missing", "parse_holdings"]


class BaseCurrencyTotal(msgspec.Struct, frozen=True, kw_only=True):
    """What the positions of all accounts with one base currency are worth together, in it.

    Attributes:
        base: the currency.
        value: the sum of what counts.
        exposure: the sum of what is exposure, in no other sum; None if there is none.
        unrealized: profit and loss not taken, of value and of exposure.
        net_liquidation: of these accounts together; None if it is not known of all.
        weight: `value` as a part of `net_liquidation`.
        missing: how many rows are not in `value`, by the reason.
        missing_unrealized: how many rows are not in `unrealized`.
        missing_exposure: how many rows are not in `exposure`.
    """

    base: str
    value: Decimal
    exposure: Decimal | None
    unrealized: Decimal
    net_liquidation: Decimal | None
    missing: Mapping[str, int]
    missing_unrealized: int
    missing_exposure: int

    @property
    def weight(self) -> Decimal | None:
        """The part of the net liquidation value."""
        return ratio(self.value, self.net_liquidation)


def describe_missing(missing: Mapping[str, int]) -> str:
    """Returns "without 2 positions (no price), 1 position (no rate for XXX)"; empty without any."""
    parts = [
        f"{count} {'position' if count == 1 else 'positions'} ({reason})" for reason, count in sorted(missing.items())
    ]
    return f"without {', '.join(parts)}" if parts else ""


class Holdings(Sequence[Holding]):
    """All rows of positions, in IBKR's order, and what they are worth together.

    Attributes:
        non_objects: rows that are no objects, as they came; none is in the sequence.
        accounts: the accounts of the snapshot, and any other that a row is of.
    """

    def __init__(
        self, rows: Iterable[Holding], non_objects: Sequence[Any], balances: Balances, accounts: Sequence[str]
    ) -> None:
        self._rows = tuple(rows)
        self.non_objects = tuple(non_objects)
        self._balances = balances
        self.accounts = tuple(dict.fromkeys([*accounts, *(balances.owner(row.account) for row in self._rows)]))

    @overload
    def __getitem__(self, index: int) -> Holding: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Holding, ...]: ...
    def __getitem__(self, index: int | slice) -> Holding | tuple[Holding, ...]:
        return self._rows[index]

    def __iter__(self) -> Iterator[Holding]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<Holdings: {len(self)} rows of {', '.join(self.accounts)}>"

    @cached_property
    def totals(self) -> tuple[BaseCurrencyTotal, ...]:
        """One for each base currency; rows of accounts whose base currency is not known are in none."""
        bases = {row.base for row in self._rows} | {self._balances.base(account) for account in self.accounts}
        return tuple(self._currency_total(base) for base in sorted(bases - {""}))

    @cached_property
    def by_currency(self) -> Mapping[str, Decimal]:
        """What counts of the open positions of each currency, unconverted; `?` where none is stated."""
        values: dict[str, Decimal] = {}
        for row in self._rows:
            if row.value is not None and not row.is_closed:
                name = row.currency or "?"
                values[name] = exact_sum((values.get(name), row.value))
        return dict(sorted(values.items()))

    @cached_property
    def missing(self) -> Mapping[str, int]:
        """How many rows have no value, by the reason; that there is no rate is none here."""
        return Counter(row.missing for row in self._rows if row.value is None)

    @cached_property
    def reconciliations(self) -> tuple[Reconciliation, ...]:
        """How the net liquidation value of each base currency is composed; only where the ledgers are there."""
        reconciliations = []
        for currency_total in self.totals:
            accounts = self._of_base(currency_total.base)
            cash = [self._balances.cash(account) for account in accounts]
            known = [balance for balance in cash if balance is not None]
            if known and len(known) == len(cash):
                rows = [row for row in self._rows if row.base == currency_total.base]
                missing_note = describe_missing(currency_total.missing)
                reconciliations.append(
                    reconcile(
                        currency_total.base,
                        known,
                        currency_total.value,
                        currency_total.net_liquidation,
                        rows=len(rows),
                        missing_note=missing_note,
                    )
                )
        return tuple(reconciliations)

    def weight(self, row: Holding) -> Decimal | None:
        """Returns a row's part of the net liquidation value of all accounts with its base currency.

        None for what counts as nothing, and where a figure is not known.
        """
        if row.value_base is None or (row.role is not PositionRole.VALUE and not row.value_base):
            return None
        return ratio(row.value_base, self._net_liquidation[row.base])

    @cached_property
    def _net_liquidation(self) -> Mapping[str, Decimal | None]:
        return {currency_total.base: currency_total.net_liquidation for currency_total in self.totals}

    def _of_base(self, base: str) -> list[str]:
        return [account for account in self.accounts if self._balances.base(account) == base]

    def _currency_total(self, base: str) -> BaseCurrencyTotal:
        rows = [row for row in self._rows if row.base == base]
        net_liquidations = [self._balances.net_liquidation(account) for account in self._of_base(base)]
        exposed = [row for row in rows if row.role is PositionRole.EXPOSURE and not row.is_closed]
        at_risk = [row for row in rows if row.role in {PositionRole.VALUE, PositionRole.EXPOSURE}]
        return BaseCurrencyTotal(
            base=base,
            value=exact_sum(row.value_base for row in rows),
            exposure=exact_sum(row.exposure_base for row in exposed) if exposed else None,
            unrealized=exact_sum(row.unrealized_base for row in at_risk),
            net_liquidation=None if None in net_liquidations else exact_sum(net_liquidations),
            missing=Counter(row.missing for row in rows if row.value_base is None),
            missing_unrealized=sum(1 for row in at_risk if row.unrealized_base is None and not row.is_closed),
            missing_exposure=sum(1 for row in exposed if row.exposure_base is None),
        )


def parse_holdings(
    rows: Iterable[Any], resource: str, balances: Balances | None = None, accounts: Sequence[str] = ()
) -> Holdings:
    """Returns rows of positions as figures.

    Args:
        rows: as IBKR sent them, with exact numbers.
        resource: which resource they are of.
        balances: of the same snapshot; without them nothing is known of base currencies and rates.
        accounts: the accounts of the snapshot.
    """
    balances = balances or Balances()
    holdings: list[Holding] = []
    non_objects: list[Any] = []
    for fields in rows:
        if isinstance(fields, dict):
            holdings.append(parse_holding(fields, resource, balances))
        else:
            non_objects.append(fields)
    return Holdings(classify_funds(holdings, balances), non_objects, balances, accounts)
