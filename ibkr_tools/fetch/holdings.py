"""Positions as figures: what each counts as, in which currency, and what all of them are worth together. Pure.

Numbers are exact Decimals. What IBKR did not say, or said in no number, is None: it is in no sum, and each sum says
what it is without.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import msgspec

from ibkr_tools.cells import ZERO, multiply, parse_number, plain, share, total
from ibkr_tools.fetch.balances import Balances
from ibkr_tools.fetch.classes import AssetClass, Role, class_of
from ibkr_tools.fetch.columns import SAME
from ibkr_tools.fetch.reconciliation import Reconciliation, reconcile

if TYPE_CHECKING:
    from ibkr_tools.fetch.formats import Rows
    from ibkr_tools.fetch.saved import Snapshot

__all__ = ["Holding", "Holdings", "Total", "holdings_of", "holdings_of_rows", "without"]

FUND_MARGIN = Decimal("0.02")
"""How far apart a fund's value and the ledger's may be, as a part of it: they are from different moments."""


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """One row of positions.

    Attributes:
        account: whose it is; with a letter at its end, a segment of that account.
        model: an advisor's model that it belongs to; empty for none.
        conid: the contract's number, as a text.
        name: what IBKR calls the contract.
        asset_class: IBKR's name of its class, such as `STK`.
        role: what it counts as.
        quantity: how much is held; negative: short.
        price: of one unit, in `currency`.
        average_price: what one unit has cost on average; the multiplier is not in it.
        average_cost: what one contract has cost on average, as IBKR states it; the multiplier is in it.
        market_value: as IBKR states it; of a future, the whole contract's.
        value: what counts toward the net liquidation value, in `currency`.
        exposure: the market value of what is not owned, in `currency`; None where it is.
        unrealized: profit and loss not taken, in `currency`.
        realized: profit and loss taken today, in `currency`.
        currency: of the figures.
        base: the account's base currency; empty if it is not known.
        rate: how much of `base` one unit of `currency` is.
        value_base: `value` in `base`.
        exposure_base: `exposure` in `base`.
        unrealized_base: `unrealized` in `base`.
        missing: why it is in no sum; empty if it is in.
        fields: what IBKR sent, by its names; numbers are exact.
    """

    account: str
    model: str
    conid: str
    name: str
    asset_class: str
    role: Role
    quantity: Decimal | None
    price: Decimal | None
    average_price: Decimal | None
    average_cost: Decimal | None
    market_value: Decimal | None
    value: Decimal | None
    exposure: Decimal | None
    unrealized: Decimal | None
    realized: Decimal | None
    currency: str
    base: str
    rate: Decimal | None
    value_base: Decimal | None
    exposure_base: Decimal | None
    unrealized_base: Decimal | None
    missing: str
    fields: Mapping[str, Any]

    @property
    def is_closed(self) -> bool:
        """Says whether nothing is held any more; IBKR lists it until the day is over."""
        return self.quantity == ZERO


class Total(msgspec.Struct, frozen=True, kw_only=True):
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
        return share(self.value, self.net_liquidation)


def without(missing: Mapping[str, int]) -> str:
    """Returns "without 2 positions (no price), 1 position (no rate for XXX)"; empty without any."""
    told = [f"{count} {'position' if count == 1 else 'positions'} ({why})" for why, count in sorted(missing.items())]
    return f"without {', '.join(told)}" if told else ""


class Holdings(Sequence[Holding]):
    """All rows of positions, in IBKR's order, and what they are worth together.

    Attributes:
        odd: rows that are no objects, as they came; none is in the sequence.
        accounts: the accounts of the snapshot, and any other that a row is of.
    """

    def __init__(
        self, rows: Iterable[Holding], odd: Sequence[Any], balances: Balances, accounts: Sequence[str]
    ) -> None:
        self._rows = tuple(rows)
        self.odd = tuple(odd)
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
    def totals(self) -> tuple[Total, ...]:
        """One for each base currency; rows of accounts whose base currency is not known are in none."""
        bases = {row.base for row in self._rows} | {self._balances.base(account) for account in self.accounts}
        return tuple(self._total(base) for base in sorted(bases - {""}))

    @cached_property
    def by_currency(self) -> Mapping[str, Decimal]:
        """What counts of the rows of each currency, unconverted; `?` where none is stated."""
        found: dict[str, Decimal] = {}
        for row in self._rows:
            if row.value is not None:
                name = row.currency or "?"
                found[name] = total((found.get(name), row.value))
        return dict(sorted(found.items()))

    @cached_property
    def missing(self) -> Mapping[str, int]:
        """How many rows have no value, by the reason; that there is no rate is none here."""
        return Counter(row.missing for row in self._rows if row.value is None)

    @cached_property
    def reconciliations(self) -> tuple[Reconciliation, ...]:
        """How the net liquidation value of each base currency is composed; only where the ledgers are there."""
        found = []
        for whole in self.totals:
            accounts = self._of_base(whole.base)
            cash = [self._balances.cash(account) for account in accounts]
            known = [one for one in cash if one is not None]
            if known and len(known) == len(cash):
                rows = [row for row in self._rows if row.base == whole.base]
                told = without(whole.missing)
                found.append(
                    reconcile(whole.base, known, whole.value, whole.net_liquidation, rows=len(rows), without=told)
                )
        return tuple(found)

    def weight(self, row: Holding) -> Decimal | None:
        """Returns a row's part of the net liquidation value of all accounts with its base currency.

        None for what counts as nothing, and where a figure is not known.
        """
        if row.value_base is None or (row.role is not Role.VALUE and not row.value_base):
            return None
        return share(row.value_base, self._net_liquidation[row.base])

    @cached_property
    def _net_liquidation(self) -> Mapping[str, Decimal | None]:
        return {whole.base: whole.net_liquidation for whole in self.totals}

    def _of_base(self, base: str) -> list[str]:
        return [account for account in self.accounts if self._balances.base(account) == base]

    def _total(self, base: str) -> Total:
        rows = [row for row in self._rows if row.base == base]
        worth = [self._balances.net_liquidation(account) for account in self._of_base(base)]
        exposed = [row for row in rows if row.role is Role.EXPOSURE and not row.is_closed]
        at_risk = [row for row in rows if row.role in {Role.VALUE, Role.EXPOSURE}]
        return Total(
            base=base,
            value=total(row.value_base for row in rows),
            exposure=total(row.exposure_base for row in exposed) if exposed else None,
            unrealized=total(row.unrealized_base for row in at_risk),
            net_liquidation=None if None in worth else total(worth),
            missing=Counter(row.missing for row in rows if row.value_base is None),
            missing_unrealized=sum(1 for row in at_risk if row.unrealized_base is None and not row.is_closed),
            missing_exposure=sum(1 for row in exposed if row.exposure_base is None),
        )


def holdings_of(snapshot: "Snapshot", resource: str = "positions") -> Holdings:
    """Returns the positions of a snapshot; see `Snapshot.holdings`."""
    payload = snapshot.exact(resource)
    if isinstance(payload, list):
        return _holdings(payload, resource, snapshot)
    from ibkr_tools.fetch.formats import snapshot_rows

    return _holdings(snapshot_rows(snapshot.encode(), resource).exact(), resource, snapshot)


def holdings_of_rows(rows: "Rows") -> Holdings:
    """Returns rows of positions as figures; without a snapshot nothing is known of base currencies and rates."""
    return _holdings(rows.exact(), rows.name, None)


def _holdings(rows: Iterable[Any], resource: str, snapshot: "Snapshot | None") -> Holdings:
    balances = Balances(snapshot)
    found: list[Holding] = []
    odd: list[Any] = []
    for fields in rows:
        if isinstance(fields, dict):
            found.append(_holding(fields, resource, balances))
        else:
            odd.append(fields)
    accounts = snapshot.covers.accounts if snapshot is not None else ()
    return Holdings(_with_funds(found, balances), odd, balances, accounts)


def _holding(fields: dict[str, Any], resource: str, balances: Balances) -> Holding:
    same = SAME.get(resource, {})

    def field(name: str) -> Any:
        return next((fields[one] for one in same.get(name, (name,)) if fields.get(one) is not None), None)

    def number(name: str) -> Decimal | None:
        return parse_number(field(name))

    asset_class = plain(field("assetClass"))
    kind = class_of(asset_class)
    account, currency = plain(field("acctId")), plain(field("currency"))
    owner = balances.owner(account)
    stated: dict[str, Any] = {
        "quantity": number("position"),
        "price": number("mktPrice"),
        "market_value": number("mktValue"),
        "unrealized": number("unrealizedPnl"),
        "currency": currency,
        "base": balances.base(owner),
        "rate": balances.rate(owner, currency),
    }
    return Holding(
        account=account,
        model=plain(field("model")),
        conid=plain(field("conid")),
        name=plain(field("contractDesc")) or plain(field("conid")),
        asset_class=asset_class,
        average_price=_average_price(number("avgPrice"), number("avgCost"), number("multiplier"), kind),
        average_cost=number("avgCost"),
        realized=number("realizedPnl"),
        fields=fields,
        **stated,
        **_counted(kind, kind.role, asset_class, **stated),
    )


def _average_price(
    stated: Decimal | None, cost: Decimal | None, multiplier: Decimal | None, kind: AssetClass
) -> Decimal | None:
    """Returns what a unit has cost, without the multiplier; None where that cannot be told."""
    if stated is not None or cost is None:
        return stated
    if kind.role is Role.UNKNOWN or kind.is_multiplied:
        return cost / multiplier if multiplier else None
    return cost


def _counted(
    kind: AssetClass,
    role: Role,
    asset_class: str,
    *,
    quantity: Decimal | None,
    price: Decimal | None,
    market_value: Decimal | None,
    unrealized: Decimal | None,
    currency: str,
    base: str,
    rate: Decimal | None,
) -> dict[str, Any]:
    """Returns what counts of a row: the fields of a `Holding` that are not IBKR's."""
    is_closed = quantity == ZERO
    value, missing = (ZERO, "") if is_closed else _value(kind, role, asset_class, price, market_value, unrealized)
    exposure = (ZERO if is_closed else market_value) if role is Role.EXPOSURE else None
    if value and base and rate is None:
        missing = f"no rate for {currency}" if currency else "no currency"

    def converted(number: Decimal | None) -> Decimal | None:
        # Nothing is nothing in every currency.
        return ZERO if number == ZERO and base else multiply(number, rate)

    return {
        "role": role,
        "value": value,
        "exposure": exposure,
        "value_base": converted(value),
        "exposure_base": converted(exposure),
        "unrealized_base": converted(unrealized),
        "missing": missing,
    }


def _value(
    kind: AssetClass,
    role: Role,
    asset_class: str,
    price: Decimal | None,
    market_value: Decimal | None,
    unrealized: Decimal | None,
) -> tuple[Decimal | None, str]:
    """Returns what counts toward the net liquidation value of an open position, and why that is not known."""
    match role:
        case Role.UNKNOWN:
            return None, f"unknown class {asset_class}" if asset_class else "no class"
        case Role.VALUE:
            # IBKR writes a value of nothing where it has no price.
            if market_value is None or (price is None and market_value == ZERO):
                return None, "no price" if price is None else "no value"
            return market_value, ""
        case Role.EXPOSURE if kind.by_profit:
            return (unrealized, "") if unrealized is not None else (None, "no profit and loss")
        case _:
            return ZERO, ""


def _with_funds(rows: Sequence[Holding], balances: Balances) -> list[Holding]:
    """Returns the rows; of funds, only those are value that are not in the cash balance, as the ledger says."""
    groups: dict[tuple[str, str], list[Holding]] = {}
    for row in rows:
        if class_of(row.asset_class).is_fund and not row.is_closed and row.market_value:
            groups.setdefault((balances.owner(row.account), row.currency), []).append(row)
    roles: dict[int, Role] = {}
    for (account, currency), group in groups.items():
        ledger = balances.ledger(account, currency)
        roles.update(zip(map(id, group), _roles_of_funds(group, ledger), strict=True))
    return [_in_role(row, roles[id(row)]) if id(row) in roles else row for row in rows]


def _in_role(row: Holding, role: Role) -> Holding:
    if role is row.role:
        return row
    stated = {
        name: getattr(row, name)
        for name in ("quantity", "price", "market_value", "unrealized", "currency", "base", "rate")
    }
    return msgspec.structs.replace(row, **_counted(class_of(row.asset_class), role, row.asset_class, **stated))


def _roles_of_funds(group: Sequence[Holding], ledger: Mapping[str, Any]) -> list[Role]:
    """Returns what funds of one currency are: the ledger's `funds` and `moneyfunds` are not in its `cashbalance`."""
    stated = [parse_number(ledger[key]) for key in ("funds", "moneyfunds") if key in ledger]
    if not stated or None in stated:
        # Without a ledger there is no cash that it could be counted in for a second time.
        return [Role.VALUE] * len(group) if not ledger else [row.role for row in group]
    listed = total(stated)
    funds = [row for row in group if row.role is Role.VALUE]
    left = listed - total(row.market_value for row in funds)
    swept = total(row.market_value for row in group if row.role is not Role.VALUE)
    if (
        funds
        and not listed
        and (parse_number(ledger.get("cashbalance")) or ZERO) >= total(row.market_value for row in group)
    ):
        return [Role.CASH] * len(group)
    is_apart = bool(swept) and left >= swept - abs(swept) * FUND_MARGIN
    return [Role.VALUE if row.role is Role.VALUE or is_apart else Role.CASH for row in group]
