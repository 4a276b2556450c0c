"""One position as figures: what it counts as, how much of it counts, and why that is not known. Pure.

Numbers are exact Decimals; None is what IBKR did not say, or said in no number.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, assert_never

import msgspec

from ibkr_tools.fetch.asset_classes import AssetClass, PositionRole, asset_class_of
from ibkr_tools.fetch.balances import POSITION_VALUE_LABELS, Balances
from ibkr_tools.fetch.columns import COLUMN_ALIASES
from ibkr_tools.number_format import ZERO, exact_product, exact_sum, parse_number, single_line

__all__ = ["Holding", "classify_funds", "parse_holding"]

_FUND_KEYS = ("funds", "moneyfunds")

FUND_TOLERANCE = Decimal("0.02")
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
    role: PositionRole
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


def parse_holding(fields: dict[str, Any], resource: str, balances: Balances) -> Holding:
    """Returns a row as figures; a fund's role may change, see `classify_funds`.

    Args:
        fields: the row as IBKR sent it, with exact numbers.
        resource: which part it is of.
        balances: of the same snapshot.
    """
    aliases = COLUMN_ALIASES.get(resource, {})

    def field(name: str) -> Any:
        for alias in aliases.get(name, (name,)):
            if (value := fields.get(alias)) is not None:
                return value
        return None

    def number(name: str) -> Decimal | None:
        return parse_number(field(name))

    asset_class = single_line(field("assetClass"))
    kind = asset_class_of(asset_class)
    account, currency = single_line(field("acctId")), single_line(field("currency"))
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
        model=single_line(field("model")),
        conid=single_line(field("conid")),
        name=single_line(field("contractDesc")) or single_line(field("conid")),
        asset_class=asset_class,
        average_price=_average_price(number("avgPrice"), number("avgCost"), number("multiplier"), kind),
        average_cost=number("avgCost"),
        realized=number("realizedPnl"),
        fields=fields,
        **stated,
        **_valuation_fields(kind, kind.role, asset_class, **stated),
    )


def _average_price(
    stated: Decimal | None, cost: Decimal | None, multiplier: Decimal | None, kind: AssetClass
) -> Decimal | None:
    """Returns what a unit has cost, without the multiplier; None where that cannot be told."""
    if stated is not None or cost is None:
        return stated
    if kind.role is PositionRole.UNKNOWN or kind.is_multiplied:
        return cost / multiplier if multiplier else None
    return cost


def _valuation_fields(
    kind: AssetClass,
    role: PositionRole,
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
    value, missing = (
        (ZERO, "") if is_closed else _counted_value(kind, role, asset_class, price, market_value, unrealized)
    )
    exposure = (ZERO if is_closed else market_value) if role is PositionRole.EXPOSURE else None
    if value and base and rate is None:
        missing = f"no rate for {currency}" if currency else "no currency"

    def converted(number: Decimal | None) -> Decimal | None:
        # Nothing is nothing in every currency.
        return ZERO if number == ZERO and base else exact_product(number, rate)

    return {
        "role": role,
        "value": value,
        "exposure": exposure,
        "value_base": converted(value),
        "exposure_base": converted(exposure),
        "unrealized_base": converted(unrealized),
        "missing": missing,
    }


def _counted_value(
    kind: AssetClass,
    role: PositionRole,
    asset_class: str,
    price: Decimal | None,
    market_value: Decimal | None,
    unrealized: Decimal | None,
) -> tuple[Decimal | None, str]:
    """Returns what counts toward the net liquidation value of an open position, and why that is not known."""
    match role:
        case PositionRole.UNKNOWN:
            return None, f"unknown class {asset_class}" if asset_class else "no class"
        case PositionRole.VALUE:
            # IBKR writes a value of nothing where it has no price.
            if market_value is None or (price is None and market_value == ZERO):
                return None, "no price" if price is None else "no value"
            return market_value, ""
        case PositionRole.EXPOSURE:
            if not kind.valued_by_profit:
                return ZERO, ""
            return (unrealized, "") if unrealized is not None else (None, "no profit and loss")
        case PositionRole.CASH | PositionRole.NOTHING:
            return ZERO, ""
        case _:
            assert_never(role)


def classify_funds(rows: Sequence[Holding], balances: Balances) -> list[Holding]:
    """Returns the rows; of funds, only those are value that are not in the cash balance, as the ledger says."""
    groups: dict[tuple[str, str], list[Holding]] = {}
    for row in rows:
        if asset_class_of(row.asset_class).is_fund and not row.is_closed and row.market_value:
            groups.setdefault((balances.owner(row.account), row.currency), []).append(row)
    roles: dict[int, PositionRole] = {}
    for (account, currency), group in groups.items():
        ledger = balances.ledger(account, currency)
        roles.update(zip(map(id, group), _fund_roles(group, ledger), strict=True))
    return [_with_role(row, roles[id(row)]) if id(row) in roles else row for row in rows]


def _with_role(row: Holding, role: PositionRole) -> Holding:
    if role is row.role:
        return row
    stated = {
        name: getattr(row, name)
        for name in ("quantity", "price", "market_value", "unrealized", "currency", "base", "rate")
    }
    return msgspec.structs.replace(
        row, **_valuation_fields(asset_class_of(row.asset_class), role, row.asset_class, **stated)
    )


def _fund_roles(group: Sequence[Holding], ledger: Mapping[str, Any]) -> list[PositionRole]:
    """Returns what funds of one currency are: by the ledger's keys, unless its net liquidation value says otherwise."""
    roles_by_class = [row.role for row in group]
    if not ledger:
        # Without a ledger there is no cash that it could be counted in for a second time.
        return [PositionRole.VALUE] * len(group)
    by_keys = _fund_roles_by_keys(group, ledger) or roles_by_class
    contributions, size = _fund_contributions(ledger), exact_sum(abs(row.market_value or ZERO) for row in group)

    def difference(roles: Sequence[PositionRole]) -> Decimal:
        counted = exact_sum(
            row.market_value for row, role in zip(group, roles, strict=True) if role is PositionRole.VALUE
        )
        return min(abs(contribution - counted) for contribution in contributions)

    def fits(roles: Sequence[PositionRole]) -> bool:
        return difference(roles) <= size * FUND_TOLERANCE

    if not contributions or fits(by_keys):
        return by_keys
    likely = min((roles_by_class, [PositionRole.VALUE] * len(group), [PositionRole.CASH] * len(group)), key=difference)
    return likely if fits(likely) else by_keys


def _fund_contributions(ledger: Mapping[str, Any]) -> list[Decimal]:
    """Returns what funds contribute to the net liquidation value of one currency, with and without futures' profit."""

    def stated(key: str) -> Decimal | None:
        return parse_number(ledger.get(key, 0))

    others = [stated(key) for key in POSITION_VALUE_LABELS if key not in _FUND_KEYS]
    parts = [stated("cashbalance"), stated("dividends"), stated("interest"), *others]
    net_liquidation = parse_number(ledger.get("netliquidationvalue"))
    if net_liquidation is None or "cashbalance" not in ledger or None in parts:
        return []
    contribution = net_liquidation - exact_sum(parts)
    return [contribution, contribution - (stated("futuresonlypnl") or ZERO)]


def _fund_roles_by_keys(group: Sequence[Holding], ledger: Mapping[str, Any]) -> list[PositionRole] | None:
    """Returns the roles by `funds` and `moneyfunds`, which are not in `cashbalance`; None if the ledger has neither."""
    stated = [parse_number(ledger[key]) for key in _FUND_KEYS if key in ledger]
    if not stated or None in stated:
        return None
    listed = exact_sum(stated)
    funds = [row for row in group if row.role is PositionRole.VALUE]
    market_value = exact_sum(row.market_value for row in group)
    if funds and not listed and (parse_number(ledger.get("cashbalance")) or ZERO) >= market_value:
        return [PositionRole.CASH] * len(group)
    swept = exact_sum(row.market_value for row in group if row.role is not PositionRole.VALUE)
    left = listed - exact_sum(row.market_value for row in funds)
    is_apart = bool(swept) and left >= swept - abs(swept) * FUND_TOLERANCE
    return [PositionRole.VALUE if row.role is PositionRole.VALUE or is_apart else PositionRole.CASH for row in group]
