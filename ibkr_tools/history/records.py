"""The records of an account's past, and how they are read out of a statement's rows. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from ibkr_tools.flex.flex_values import FlexValueError, parse_day, parse_decimal
from ibkr_tools.flex.statement_checks import ASSET_PARTS
from ibkr_tools.flex.statement_xml import Row, Statement
from ibkr_tools.number_format import exact_product, exact_sum


class CashKind(StrEnum):
    """What a booking of cash is about. OTHER is what IBKR has added since; its own name stays in `type`."""

    DEPOSIT = "deposit"
    DIVIDEND = "dividend"
    TAX = "tax"
    INTEREST = "interest"
    FEE = "fee"
    OTHER = "other"


_KINDS = {
    "depositswithdrawals": CashKind.DEPOSIT,
    "deposits": CashKind.DEPOSIT,
    "withdrawals": CashKind.DEPOSIT,
    "dividends": CashKind.DIVIDEND,
    "paymentinlieuofdividends": CashKind.DIVIDEND,
    "withholdingtax": CashKind.TAX,
    "mwithholding": CashKind.TAX,
    "brokerinterestpaid": CashKind.INTEREST,
    "brokerinterestreceived": CashKind.INTEREST,
    "bondinterestpaid": CashKind.INTEREST,
    "bondinterestreceived": CashKind.INTEREST,
    "otherfees": CashKind.FEE,
    "brokerfees": CashKind.FEE,
    "advisorfees": CashKind.FEE,
    "managementfees": CashKind.FEE,
    "commissionadjustments": CashKind.FEE,
    "otherincome": CashKind.OTHER,
    "priceadjustments": CashKind.OTHER,
    "carboncredits": CashKind.OTHER,
}
"""By IBKR's `type`, in small letters without anything else: it is spelled with `/` and with `&`."""


@dataclass(frozen=True, slots=True)
class AccountValue:
    """What an account was worth at the end of a day, in its base currency. `positions` is all but cash and accruals."""

    account: str
    day: date
    currency: str
    total: Decimal
    cash: Decimal | None
    positions: Decimal | None
    generated_at: str


@dataclass(frozen=True, slots=True)
class CashBooking:
    """A booking of cash that is no trade. `day` is the one on which it entered the net asset value (reportDate).

    `amount` is signed, in `currency`; `amount_in_base` in the account's own, None where the query gives no rate.
    """

    account: str
    day: date
    number: int
    kind: CashKind
    type: str
    currency: str
    amount: Decimal
    amount_in_base: Decimal | None
    symbol: str
    conid: str
    description: str
    transaction_id: str
    generated_at: str


def kind_of(cash_type: str) -> CashKind:
    """Returns what IBKR's type of a booking is about; what is unknown is OTHER."""
    return _KINDS.get("".join(letter for letter in cash_type.lower() if letter.isalpha()), CashKind.OTHER)


def _number(row: Row, name: str) -> Decimal | None:
    try:
        return parse_decimal(row.attributes.get(name, ""))
    except FlexValueError:
        # `flex import` has named it.
        return None


def _day(row: Row, *names: str) -> date | None:
    for name in names:
        try:
            if day := parse_day(row.attributes.get(name, "")):
                return day
        except FlexValueError:
            continue
    return None


def account_values(statement: Statement, rows: Iterable[Row], base_currency: str) -> list[AccountValue]:
    """Returns the value of each day that the rows of EquitySummaryInBase have; one without a day or total is none.

    An account with models has a row for each of them on each day, and maybe one for all: that one counts, or their sum.
    """
    by_day: dict[date, list[Row]] = {}
    for row in rows:
        day = _day(row, "reportDate")
        if day is not None and _number(row, "total") is not None:
            by_day.setdefault(day, []).append(row)
    found = []
    for day, of_day in by_day.items():
        whole = [row for row in of_day if not row.attributes.get("model")]
        counted = whole[-1:] or of_day
        found.append(
            AccountValue(
                account=statement.account,
                day=day,
                currency=counted[0].attributes.get("currency") or base_currency,
                total=exact_sum(_number(row, "total") for row in counted),
                cash=_sum(counted, ("cash",)),
                positions=_sum(counted, ASSET_PARTS),
                generated_at=statement.generated_at.isoformat(),
            )
        )
    return found


def _sum(rows: Iterable[Row], names: Sequence[str]) -> Decimal | None:
    """Returns the sum of these attributes; None where none is given."""
    numbers = [_number(row, name) for row in rows for name in names]
    return exact_sum(numbers) if any(number is not None for number in numbers) else None


def cash_bookings(statement: Statement, rows: Sequence[Row]) -> list[CashBooking]:
    """Returns the bookings that the rows of CashTransactions have, each once.

    A query may give every booking twice, as DETAIL and in a SUMMARY of several: the details count where there are any.
    A day outside the statement's is moved to its nearest one, since that is when the statement books it.
    """
    details = [row for row in rows if row.attributes.get("levelOfDetail") != "SUMMARY"]
    found = []
    for number, row in enumerate(details or rows):
        amount = _number(row, "amount")
        if amount is None:
            continue
        day = _day(row, "reportDate", "dateTime", "settleDate") or statement.to_day
        found.append(
            CashBooking(
                account=statement.account,
                day=min(max(day, statement.from_day), statement.to_day),
                number=number,
                kind=kind_of(row.attributes.get("type", "")),
                type=row.attributes.get("type", ""),
                currency=row.attributes.get("currency", ""),
                amount=amount,
                amount_in_base=exact_product(amount, _number(row, "fxRateToBase")),
                symbol=row.attributes.get("symbol", ""),
                conid=row.attributes.get("conid", ""),
                description=row.attributes.get("description", ""),
                transaction_id=row.attributes.get("transactionID", ""),
                generated_at=statement.generated_at.isoformat(),
            )
        )
    return found
