"""The sections of a statement about the account as a whole: its value, and how it came about. Pure."""

from collections import defaultdict
from datetime import date
from decimal import Decimal

from ibkr_tools.simulator.account_life.booked import BookedTrade, DayClose
from ibkr_tools.simulator.account_life.flex_query import FlexQuery, Rows, account_attributes, number
from ibkr_tools.simulator.account_life.known_values import time_weighted_return
from ibkr_tools.simulator.account_life.period import Period

ZERO, HUNDRED = Decimal(0), Decimal(100)

_NAV_PARTS = (
    *("cash", "stock", "ipoSubscription", "options", "bonds", "notes", "funds", "commodities", "crypto", "physDel"),
    *("dividendAccruals", "interestAccruals", "softDollars", "forexCfdUnrealizedPl", "cfdUnrealizedPl"),
    *("slbCashCollateral", "slbDirectSecuritiesBorrowed", "slbDirectSecuritiesLent", "fdicInsuredBankSweepAccount"),
    *("fdicInsuredAccountInterestAccruals", "incentiveCouponAccruals", "marginFinancingChargeAccruals"),
    *("eventContractInterestAccruals", "liteSurchargeAccruals", "brokerFeesAccruals"),
)

_NAV_CHANGES = (
    *("mtm", "realized", "changeInUnrealized", "costAdjustments", "transferredPnlAdjustments", "depositsWithdrawals"),
    *("internalCashTransfers", "assetTransfers", "debitCardActivity", "billPay", "dividends", "withholdingTax"),
    *("withholding871m", "withholdingTaxCollected", "changeInDividendAccruals", "interest"),
    *("changeInInterestAccruals", "changeInIncentiveCouponAccruals", "advisorFees", "brokerFees"),
    *("changeInBrokerFeeAccruals", "clientFees", "otherFees", "feesReceivables", "commissions"),
    *("commissionReceivables", "forexCommissions", "transactionTax", "taxReceivables", "salesTax"),
    *("billableSalesTax", "softDollars", "netFxTrading", "fxTranslation", "linkingAdjustments"),
    *("corporateActionProceeds", "commissionCreditsRedemption", "grantActivity", "excessFundSweep", "referralFee"),
    *("donations", "carbonCredits", "paxosTransfers", "mtmAtPaxos", "commissionsAtPaxos", "otherIncome", "other"),
)

_CASH_MOVEMENTS = (
    *("clientFees", "commissions", "referralFee", "commissionCreditsRedemption", "billableCommissions"),
    *("depositWithdrawals", "deposits", "withdrawals", "carbonCredits", "donations", "accountTransfers"),
    *("linkingAdjustments", "internalTransfers", "paxosTransfers", "excessFundSweep", "debitCardActivity", "billPay"),
    *("dividends", "insuredDepositInterest", "brokerInterest", "brokerFees", "bondInterest", "cashSettlingMtm"),
    *("realizedVm", "realizedForexVm", "cfdCharges", "netTradesSales", "netTradesPurchases", "advisorFees"),
    *("feesReceivables", "paymentInLieu", "transactionTax", "taxReceivables", "withholdingTax", "withholding871m"),
    *("withholdingCollectedTax", "salesTax", "billableSalesTax", "ipoSubscription", "otherFees", "otherIncome"),
    "other",
)


def account_information(query: FlexQuery, period: Period) -> Rows:
    """Returns the account's own data, all of it made up."""
    opened = period.ledger.closes[0].day
    last_trade = max((one.day for one in period.days), default=opened)
    return [
        (
            "AccountInformation",
            {
                **account_attributes(period.account, period.base),
                "name": "Jane Sample",
                "accountType": "Individual",
                "customerType": "Individual",
                "accountCapabilities": "Margin",
                "tradingPermissions": "Stocks,Options,Futures,Bonds,Funds,Forex",
                "dateOpened": query.day(opened),
                "dateFunded": query.day(opened),
                "dateClosed": "",
                "lastTradedDate": query.day(last_trade),
                "street": "1 Sample Street",
                "street2": "",
                "city": "Sampleton",
                "state": "",
                "country": "Ireland",
                "postalCode": "D01",
                "masterName": "",
                "ibEntity": "IB-IE",
                "primaryEmail": "jane@example.org",
            },
        )
    ]


_NO_VALUE = {
    **{f"{name}{side}": "0" for name in _NAV_PARTS for side in ("", "Long", "Short")},
    **dict.fromkeys(("bondInterestAccrualsComponent", "brokerInterestAccrualsComponent"), "0"),
    **{f"total{side}": "0" for side in ("", "Long", "Short")},
}
"""What a day of an account without any value says."""


def _parts(closed: DayClose) -> dict[str, Decimal]:
    interest, bond_interest = closed.interest_in_base(is_bond=False), closed.interest_in_base(is_bond=True)
    return {
        **closed.values,
        "cash": closed.cash_in_base,
        "dividendAccruals": closed.dividends_in_base,
        "interestAccruals": interest + bond_interest,
        "bondInterestAccrualsComponent": bond_interest,
        "brokerInterestAccrualsComponent": interest,
        "total": closed.total,
    }


def equity_summary(query: FlexQuery, period: Period) -> Rows:
    """Returns the value of each day, and first of all that of the day before."""
    closes = [period.start, *period.days] if period.start is not None else period.days
    rows: Rows = []
    for closed in closes:
        row = {**account_attributes(period.account, period.base), "reportDate": query.day(closed.day), **_NO_VALUE}
        for name, amount in _parts(closed).items():
            if amount:
                row[name] = number(amount)
                if not name.endswith("Component"):
                    row[f"{name}{'Long' if amount > 0 else 'Short'}"] = row[name]
        rows.append(("EquitySummaryByReportDateInBase", row))
    return rows


def change_in_nav(query: FlexQuery, period: Period) -> Rows:
    """Returns what led from the value before the first day to that of the last one."""
    changes: dict[str, Decimal] = dict.fromkeys(_NAV_CHANGES, ZERO)
    for movement in period.movements:
        if movement.nav_attribute:
            changes[movement.nav_attribute] += period.in_base(movement.day, movement.currency, movement.amount)
    for transfer in period.transfers:
        if security := transfer.entry.security:
            changes["assetTransfers"] += period.in_base(transfer.entry.day, security.currency, transfer.amount)
    for accrual in period.dividend_changes:
        due = period.in_base(accrual.day, accrual.security.currency, accrual.net)
        changes["changeInDividendAccruals"] += due
    for interest in period.interest_changes:
        changes["changeInInterestAccruals"] += period.in_base(interest.day, interest.currency, interest.amount)
    for closed in period.days:
        changes["fxTranslation"] += closed.cash_translation + closed.accrual_translation
    profit = sum((closed.market_profit for closed in period.days), ZERO)
    if query.splits_profit:
        changes["realized"] = _realized(period)
        changes["changeInUnrealized"] = profit - changes["realized"]
    else:
        changes["mtm"] = profit
    return [
        (
            "ChangeInNAV",
            {
                **account_attributes(period.account, period.base),
                "fromDate": query.day(period.first),
                "toDate": query.day(period.last),
                "startingValue": number(period.start.total if period.start else ZERO),
                **{name: number(amount) for name, amount in changes.items()},
                "endingValue": number(period.end.total),
                "twr": f"{time_weighted_return(period.ledger, period.first, period.last) * HUNDRED:.9f}",
            },
        )
    ]


def _realized(period: Period) -> Decimal:
    booked = [
        (trade.entry.day, trade.entry.security, trade.realized)
        for trade in period.trades
        if isinstance(trade, BookedTrade)
    ]
    booked += [(action.entry.day, action.security, action.realized) for action in period.actions]
    return sum((period.in_base(day, security.currency, amount) for day, security, amount in booked), ZERO)


def cash_report(query: FlexQuery, period: Period) -> Rows:
    """Returns what led from the cash before the first day to that after the last one: in all, and by currency."""
    totals: dict[str, dict[str, Decimal]] = defaultdict(lambda: dict.fromkeys(_CASH_MOVEMENTS, ZERO))
    base = totals["BASE_SUMMARY"]
    for movement in period.movements:
        in_base = period.in_base(movement.day, movement.currency, movement.amount)
        names = [movement.report_attribute]
        if movement.report_attribute == "depositWithdrawals":
            names.append("deposits" if movement.amount > 0 else "withdrawals")
        for name in names:
            totals[movement.currency][name] += movement.amount
            base[name] += in_base
    starting = dict(period.start.cash) if period.start else {}
    for currency in {currency for currency, amount in starting.items() if amount}:
        totals[currency].setdefault("other", ZERO)
    rows = []
    translation = sum((closed.cash_translation for closed in period.days), ZERO)
    started = period.start.cash_in_base if period.start else ZERO
    for currency in ("BASE_SUMMARY", *sorted(totals.keys() - {"BASE_SUMMARY"})):
        is_base = currency == "BASE_SUMMARY"
        start, end = starting.get(currency, ZERO), period.end.cash.get(currency, ZERO)
        figures = {
            "startingCash": started if is_base else start,
            **totals[currency],
            "fxTranslationGainLoss": translation if is_base else ZERO,
            "endingCash": period.end.cash_in_base if is_base else end,
        }
        figures["endingSettledCash"] = figures["endingCash"]
        row = account_attributes(period.account, currency)
        row["levelOfDetail"] = "BaseCurrency" if is_base else "Currency"
        row |= {"fromDate": query.day(period.first), "toDate": query.day(period.last)}
        for name, amount in figures.items():
            row[name] = row[f"{name}Sec"] = number(amount)
            row[f"{name}Com"] = "0"
        rows.append(("CashReportCurrency", row))
    return rows


def conversion_rates(query: FlexQuery, period: Period) -> Rows:
    """Returns the rates of all currencies, those too that the account does not have; of some there is none."""
    rows: Rows = []
    for closed in period.days:
        for currency, rate in closed.rates.items():
            if currency != period.base:
                rows.append(_rate(query, period, closed, currency, number(rate)))
        rows.append(_rate(query, period, closed, "RUS", "-1"))
    return rows


def _rate(query: FlexQuery, period: Period, closed: DayClose, currency: str, rate: str) -> tuple[str, dict[str, str]]:
    return (
        "ConversionRate",
        {"reportDate": query.day(closed.day), "fromCurrency": currency, "toCurrency": period.base, "rate": rate},
    )


def interest_accruals(query: FlexQuery, period: Period) -> Rows:
    """Returns what interest is due, and how that came about: in all, and by currency."""
    accrued: dict[str, list[Decimal]] = {}
    base = [ZERO, ZERO]
    for change in period.interest_changes:
        side = accrued.setdefault(change.currency, [ZERO, ZERO])
        side[change.is_reversal] += change.amount
        base[change.is_reversal] += period.in_base(change.day, change.currency, change.amount)
    rows = []
    totals = [_interest_total(closed) for closed in (period.start, period.end)]
    translation = totals[1] - totals[0] - sum(base, ZERO)
    for currency, (added, reversed_) in (("BASE_SUMMARY", base), *sorted(accrued.items())):
        is_base = currency == "BASE_SUMMARY"
        start, end = totals if is_base else [_interest(closed, currency) for closed in (period.start, period.end)]
        row = account_attributes(period.account, currency)
        row |= {"fromDate": query.day(period.first), "toDate": query.day(period.last)}
        row |= {
            "startingAccrualBalance": number(start),
            "interestAccrued": number(added),
            "accrualReversal": number(reversed_),
            "fxTranslation": number(translation) if is_base else "0",
            "endingAccrualBalance": number(end),
        }
        rows.append(("InterestAccrualsCurrency", row))
    return rows


def _interest(closed: DayClose | None, currency: str) -> Decimal:
    amounts = closed.accrued_interest.items() if closed else ()
    return sum((amount for key, amount in amounts if key[0] == currency), ZERO)


def _interest_total(closed: DayClose | None) -> Decimal:
    return closed.interest_in_base(is_bond=True) + closed.interest_in_base(is_bond=False) if closed else ZERO


def statement_of_funds(query: FlexQuery, period: Period) -> Rows:
    """Returns every movement of cash with the balance after it, by currency."""
    rows: Rows = []
    balances = {currency: amount for currency, amount in (period.start.cash if period.start else {}).items() if amount}
    for currency in sorted({*balances, *(movement.currency for movement in period.movements)}):
        balance = balances.get(currency, ZERO)
        rows.append(_line(query, period, currency, ("", "Starting Balance", ZERO, balance), period.first, None))
        for movement in period.movements:
            if movement.currency == currency:
                balance += movement.amount
                said = (movement.code, movement.description, movement.amount, balance)
                number_of_entry = movement.entry.number if movement.entry else None
                rows.append(_line(query, period, currency, said, movement.day, number_of_entry))
        rows.append(_line(query, period, currency, ("", "Ending Balance", ZERO, balance), period.last, None))
    return rows


def _line(
    query: FlexQuery,
    period: Period,
    currency: str,
    said: tuple[str, str, Decimal, Decimal],
    day: date,
    transaction: int | None,
) -> tuple[str, dict[str, str]]:
    code, description, amount, balance = said
    return (
        "StatementOfFundsLine",
        {
            **account_attributes(period.account, currency),
            "date": query.day(day),
            "reportDate": query.day(day),
            "activityCode": code,
            "activityDescription": description,
            "debit": number(amount) if amount < 0 else "",
            "credit": number(amount) if amount > 0 else "",
            "amount": number(amount),
            "balance": number(balance),
            "transactionID": str(transaction or ""),
            "levelOfDetail": "Currency",
        },
    )
