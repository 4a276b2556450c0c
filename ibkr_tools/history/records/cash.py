"""Cash: what an account has of each currency, and bookings that are no trades. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from ibkr_tools.flex.statement_xml import Row
from ibkr_tools.history.records.row_fields import details, level_of, moment_of, number_of, sum_of, text_of
from ibkr_tools.history.records.statement_context import StatementContext

_BASE_SUMMARY = "BASE_SUMMARY"
"""The currency of the row that has all of them together."""


class CashKind(StrEnum):
    """What a booking of cash is about. OTHER is what IBKR has added since; its own name stays in `type`."""

    DEPOSIT = "deposit"
    DIVIDEND = "dividend"
    TAX = "tax"
    INTEREST = "interest"
    FEE = "fee"
    OTHER = "other"


INCOME_KINDS = (CashKind.DIVIDEND, CashKind.INTEREST, CashKind.TAX, CashKind.OTHER)
"""What an account earned without a trade: all that is no flow and no fee, so that no booking is of neither list."""

_KINDS = {
    "depositswithdrawals": CashKind.DEPOSIT,
    "deposits": CashKind.DEPOSIT,
    "withdrawals": CashKind.DEPOSIT,
    "debitcardactivity": CashKind.DEPOSIT,
    "billpay": CashKind.DEPOSIT,
    "donations": CashKind.DEPOSIT,
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
class CashBooking:
    """A booking of cash that is no trade. `day` is the one on which it entered the net asset value (reportDate).

    `amount` is signed, in `currency`; `amount_in_base` in the account's own, None where the query gives no rate.
    `booked_at` and `settled_on` may lie long before, as of a tax that is corrected a year later (ISO 8601; empty: not
    given).
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
    booked_at: str = ""
    settled_on: str = ""
    action_id: str = ""
    isin: str = ""


@dataclass(frozen=True, slots=True)
class CashBalance:
    """What an account had of a currency at the end of a day; `settled` is without what is still to be paid."""

    account: str
    day: date
    currency: str
    amount: Decimal
    settled: Decimal | None
    generated_at: str


def _letters(cash_type: str) -> str:
    return "".join(letter for letter in cash_type.lower() if letter.isalpha())


def kind_of(cash_type: str) -> CashKind:
    """Returns what IBKR's type of a booking is about; what is unknown is OTHER."""
    return _KINDS.get(_letters(cash_type), CashKind.OTHER)


def is_known_type(cash_type: str) -> bool:
    """Says whether IBKR's type of a booking is one that this version knows."""
    return _letters(cash_type) in _KINDS


def cash_bookings(context: StatementContext, rows: Sequence[Row]) -> list[CashBooking]:
    """Returns the bookings that the rows of CashTransactions have, each once.

    A query may give every booking twice, as DETAIL and in a SUMMARY of several: the details count where there are any.
    """
    found = []
    for number, row in enumerate(details(rows)):
        amount = number_of(row, "amount")
        if amount is None:
            continue
        day = context.booked_on(row, "reportDate", "dateTime", "settleDate")
        found.append(
            CashBooking(
                account=context.account,
                day=day,
                number=number,
                kind=kind_of(text_of(row, "type")),
                type=text_of(row, "type"),
                currency=text_of(row, "currency"),
                amount=amount,
                amount_in_base=context.in_base(amount, row, day),
                symbol=text_of(row, "symbol"),
                conid=text_of(row, "conid"),
                description=text_of(row, "description"),
                transaction_id=text_of(row, "transactionID"),
                generated_at=context.generated_at,
                booked_at=moment_of(row, "dateTime"),
                settled_on=moment_of(row, "settleDate")[:10],
                action_id=text_of(row, "actionID"),
                isin=text_of(row, "isin"),
            )
        )
    return found


def cash_balances(context: StatementContext, rows: Sequence[Row]) -> list[CashBalance]:
    """Returns the ending cash of each currency that the rows of CashReport have; not that of all together."""
    by_currency: dict[str, list[Row]] = {}
    for row in rows:
        currency = text_of(row, "currency")
        if currency and currency != _BASE_SUMMARY and level_of(row) != "BASECURRENCY":
            by_currency.setdefault(currency, []).append(row)
    found = []
    for currency, of_currency in by_currency.items():
        whole = [row for row in of_currency if not row.attributes.get("model")]
        counted = whole[-1:] or of_currency
        amount = sum_of(counted, ("endingCash",))
        if amount is not None:
            found.append(
                CashBalance(
                    account=context.account,
                    day=context.last_day,
                    currency=currency,
                    amount=amount,
                    settled=sum_of(counted, ("endingSettledCash",)),
                    generated_at=context.generated_at,
                )
            )
    return found
