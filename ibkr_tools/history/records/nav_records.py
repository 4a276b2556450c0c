"""What an account is worth day by day, and what changed it over a statement's days. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from ibkr_tools.flex.statement_checks import ASSET_PARTS, NAV_COMPONENTS, PROFIT_SETTINGS
from ibkr_tools.flex.statement_xml import Row
from ibkr_tools.history.records.row_fields import day_of, number_of, sum_of, text_of
from ibkr_tools.history.records.statement_context import StatementContext
from ibkr_tools.number_format import HUNDRED, ZERO, exact_sum


class Source(StrEnum):
    """Where a value comes from, in the order of trust; the values of the first two are of the end of a day."""

    STATEMENT = "statement"
    PORTFOLIO_ANALYST = "portfolio_analyst"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True, slots=True)
class AccountValue:
    """What an account was worth, in its base currency. `positions` is all of it but cash and accruals.

    `as_of` is the moment of a snapshot's value (ISO 8601, UTC); it is empty for the value at the end of the day.
    """

    account: str
    day: date
    currency: str
    total: Decimal
    cash: Decimal | None
    positions: Decimal | None
    generated_at: str
    source: Source = Source.STATEMENT
    as_of: str = ""


@dataclass(frozen=True, slots=True)
class NavChange:
    """What led from the value before `from_day` to that of `day`, as IBKR adds it up, in the base currency.

    starting + market + flows + dividends + taxes + interest + fees + fx + other = ending. `market` is profit and loss
    of positions, `flows` are deposits, withdrawals and transfers, `fees` include commissions, `fx` is the translation
    of currencies. `twr_ratio` is IBKR's time-weighted return of these days, 0.01 for one percent.
    """

    account: str
    day: date
    from_day: date
    currency: str
    starting: Decimal
    market: Decimal
    flows: Decimal
    dividends: Decimal
    taxes: Decimal
    interest: Decimal
    fees: Decimal
    fx: Decimal
    other: Decimal
    ending: Decimal
    twr_ratio: Decimal | None
    generated_at: str


_GROUPS = {
    "flows": (
        *("depositsWithdrawals", "internalCashTransfers", "assetTransfers", "debitCardActivity", "billPay"),
        *("grantActivity", "donations", "paxosTransfers", "excessFundSweep"),
    ),
    "dividends": ("dividends", "changeInDividendAccruals"),
    "taxes": (
        *("withholdingTax", "withholding871m", "withholdingTaxCollected", "transactionTax", "taxReceivables"),
        *("salesTax", "billableSalesTax", "changeInCGTWithholdingAccruals"),
    ),
    "interest": ("interest", "changeInInterestAccruals", "changeInIncentiveCouponAccruals"),
    "fees": (
        *("commissions", "commissionReceivables", "forexCommissions", "commissionCreditsRedemption", "softDollars"),
        *("advisorFees", "brokerFees", "changeInBrokerFeeAccruals", "clientFees", "otherFees", "feesReceivables"),
        *("referralFee", "commissionsAtPaxos", "changeInLiteSurchargeAccruals"),
    ),
    "fx": ("fxTranslation", "netFxTrading"),
}


def account_values(context: StatementContext, rows: Iterable[Row]) -> list[AccountValue]:
    """Returns the value of each day that the rows of EquitySummaryInBase have; one without a day or total is none.

    An account with models has a row for each of them on each day, and maybe one for all: that one counts, or their sum.
    """
    by_day: dict[date, list[Row]] = {}
    for row in rows:
        day = day_of(row, "reportDate")
        if day is not None and number_of(row, "total") is not None:
            by_day.setdefault(day, []).append(row)
    found = []
    for day, of_day in by_day.items():
        whole = [row for row in of_day if not row.attributes.get("model")]
        counted = whole[-1:] or of_day
        found.append(
            AccountValue(
                account=context.account,
                day=day,
                currency=text_of(counted[0], "currency") or context.base_currency,
                total=exact_sum(number_of(row, "total") for row in counted),
                cash=sum_of(counted, ("cash",)),
                positions=sum_of(counted, ASSET_PARTS),
                generated_at=context.generated_at,
            )
        )
    return found


def nav_changes(context: StatementContext, rows: Sequence[Row]) -> list[NavChange]:
    """Returns the change that the rows of ChangeInNAV have: that of the whole account; one or none.

    A query gives the profit and loss in one of two settings, or in both; the one that leads to the ending value counts.
    """
    stated = [row for row in rows if {"startingValue", "endingValue"} <= row.attributes.keys()]
    whole = [row for row in stated if not row.attributes.get("model")]
    counted = whole[-1:] or stated
    if not counted:
        return []

    def total(names: Sequence[str]) -> Decimal:
        return sum_of(counted, names) or ZERO

    starting, ending = total(("startingValue",)), total(("endingValue",))
    stated_change = exact_sum([ending, -starting, -total(NAV_COMPONENTS)])
    market = min((total(names) for names in PROFIT_SETTINGS), key=lambda profit: abs(stated_change - profit))
    groups = {name: total(names) for name, names in _GROUPS.items()}
    percent = number_of(counted[0], "twr") if len(counted) == 1 else None
    return [
        NavChange(
            account=context.account,
            day=context.statement.to_day,
            from_day=context.statement.from_day,
            currency=text_of(counted[0], "currency") or context.base_currency,
            starting=starting,
            market=market,
            **groups,
            other=exact_sum([ending, -starting, -market, *(-amount for amount in groups.values())]),
            ending=ending,
            twr_ratio=None if percent is None else percent / HUNDRED,
            generated_at=context.generated_at,
        )
    ]
