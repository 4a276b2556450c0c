"""The sections of a statement about what is held, and what is due. Pure."""

from collections.abc import Iterator
from decimal import Decimal

from ibkr_tools.simulator.account_life.booked import BookedTrade
from ibkr_tools.simulator.account_life.entries import DividendAccrualEntry
from ibkr_tools.simulator.account_life.flex_query import (
    FlexQuery,
    Rows,
    account_attributes,
    number,
    security_attributes,
)
from ibkr_tools.simulator.account_life.lots import Lot, total_cost, total_quantity
from ibkr_tools.simulator.account_life.period import Period
from ibkr_tools.simulator.account_life.securities import PARTS, Security

ZERO = Decimal(0)
_PRICE_STEP = Decimal("0.000000001")
_LONG_TERM_DAYS = 365


def open_positions(query: FlexQuery, period: Period) -> Rows:
    """Returns what is held at the end of the last day, and the lots of each."""
    rows: Rows = []
    for conid, lots in period.end.lots.items():
        security = period.ledger.securities[conid]
        if "SUMMARY" in query.position_levels:
            rows.append(("OpenPosition", _position(query, period, security, lots, "SUMMARY")))
        if "LOT" in query.position_levels:
            for lot in lots:
                row = _position(query, period, security, (lot,), "LOT")
                term = "LT" if (period.last - lot.opened.date()).days > _LONG_TERM_DAYS else "ST"
                row |= {"openDateTime": query.moment(lot.opened), "holdingPeriodDateTime": query.moment(lot.opened)}
                row |= {"code": term, "originatingTransactionID": str(lot.number)}
                rows.append(("OpenPosition", row))
    return rows


def _position(
    query: FlexQuery, period: Period, security: Security, lots: tuple[Lot, ...], level: str
) -> dict[str, str]:
    quantity, cost = total_quantity(lots), total_cost(lots)
    price = period.market.price(security, period.last)
    value = security.value(quantity, price)
    unit_cost = (cost / security.value(quantity, Decimal(1))).quantize(_PRICE_STEP)
    part = period.end.values.get(PARTS.get(security.asset_class, ""), ZERO)
    in_base = period.end.in_base(security.currency, value)
    return {
        **account_attributes(period.account, security.currency, period.end.rates[security.currency]),
        **security_attributes(query, security),
        "reportDate": query.day(period.last),
        "position": number(quantity),
        "markPrice": number(price),
        "positionValue": number(value),
        "positionValueInBase": number(in_base),
        "openPrice": number(unit_cost),
        "costBasisPrice": number(unit_cost),
        "costBasisMoney": number(cost),
        "percentOfNAV": f"{in_base / part * 100:.2f}" if part else "",
        "fifoPnlUnrealized": number(value - cost),
        "side": "Long" if quantity > 0 else "Short",
        "levelOfDetail": level,
        "openDateTime": "",
        "holdingPeriodDateTime": "",
        "vestingDate": "",
        "code": "",
        "originatingOrderID": "",
        "originatingTransactionID": "",
        "accruedInt": "",
    }


def _accrual(query: FlexQuery, period: Period, accrual: DividendAccrualEntry) -> dict[str, str]:
    security = accrual.security
    return {
        **account_attributes(period.account, security.currency, period.rate(security.currency, accrual.day)),
        **security_attributes(query, security),
        "exDate": query.day(accrual.ex_day),
        "payDate": query.day(accrual.pay_day),
        "quantity": number(accrual.quantity),
        "tax": number(accrual.tax),
        "fee": "0",
        "grossRate": number(accrual.per_share),
        "grossAmount": number(accrual.gross),
        "netAmount": number(accrual.net),
        "code": accrual.code,
        "fromAcct": "",
        "toAcct": "",
        "actionID": str(accrual.action_id),
    }


def changes_in_dividend_accruals(query: FlexQuery, period: Period) -> Rows:
    """Returns dividends that became due, or are due no longer."""
    return [
        (
            "ChangeInDividendAccrual",
            _accrual(query, period, change) | {"reportDate": query.day(change.day), "date": query.day(change.day)},
        )
        for change in period.dividend_changes
    ]


def open_dividend_accruals(query: FlexQuery, period: Period) -> Rows:
    """Returns the dividends that are due at the end of the last day, at its rates."""
    rows: Rows = []
    for accrual in period.end.dividend_accruals:
        row = _accrual(query, period, accrual)
        row["fxRateToBase"] = number(period.end.rates[accrual.security.currency])
        rows.append(("OpenDividendAccrual", row))
    return rows


def currency_positions(query: FlexQuery, period: Period) -> Rows:
    """Returns the cash in other currencies than the base."""
    rows: Rows = []
    for currency, amount in period.end.cash.items():
        if amount and currency != period.base:
            rate = period.end.rates[currency]
            row = account_attributes(period.account, period.base) | {"reportDate": query.day(period.last)}
            row |= {"functionalCurrency": period.base, "fxCurrency": currency, "quantity": number(amount)}
            row |= {"closePrice": number(rate), "value": number(amount * rate), "levelOfDetail": "SUMMARY"}
            rows.append(("FxPosition", row))
    return rows


def _securities(period: Period) -> Iterator[Security]:
    """Yields what is held or was traded, with the underlying of each option."""
    held = [period.ledger.securities[conid] for conid in period.end.lots]
    traded = [trade.entry.security for trade in period.trades if isinstance(trade, BookedTrade)]
    for security in (*held, *traded, *(action.security for action in period.actions)):
        if security.underlying is not None:
            yield security.underlying
        yield security


def securities(query: FlexQuery, period: Period) -> Rows:
    """Returns a row for each security, once."""
    by_conid = {security.conid: security for security in _securities(period)}
    more = {"maturity": "", "issueDate": "", "type": "", "code": ""}
    return [
        ("SecurityInfo", {"currency": security.currency, **security_attributes(query, security), **more})
        for security in by_conid.values()
    ]
