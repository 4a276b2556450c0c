"""Entries of the ledger: what was done, and when IBKR's books had it. Pure."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum

from ibkr_tools.simulator.account_life.corporate_actions import CorporateAction
from ibkr_tools.simulator.account_life.lots import Lot, total_quantity
from ibkr_tools.simulator.account_life.securities import Security

ZERO = Decimal(0)


class CashKind(Enum):
    """What a booking of cash is about.

    The values are IBKR's `type`, the attributes that it is in of a cash report and of a change in NAV, and its code in
    a statement of funds. What has no type is in a section of its own.
    """

    DEPOSIT = ("Deposits/Withdrawals", "depositWithdrawals", "depositsWithdrawals", "DEP")
    DIVIDEND = ("Dividends", "dividends", "dividends", "DIV")
    IN_LIEU = ("Payment In Lieu Of Dividends", "paymentInLieu", "dividends", "PIL")
    TAX = ("Withholding Tax", "withholdingTax", "withholdingTax", "FRTAX")
    TAX_871M = ("871(m) Withholding", "withholding871m", "withholding871m", "M871")
    INTEREST_PAID = ("Broker Interest Paid", "brokerInterest", "interest", "DINT")
    INTEREST_RECEIVED = ("Broker Interest Received", "brokerInterest", "interest", "CINT")
    COUPON = ("Bond Interest Received", "bondInterest", "interest", "INTR")
    ACCRUED_COUPON = ("Bond Interest Paid", "bondInterest", "interest", "INTP")
    OTHER_FEE = ("Other Fees", "otherFees", "otherFees", "OFEE")
    BROKER_FEE = ("Broker Fees", "brokerFees", "brokerFees", "BFEE")
    ADVISOR_FEE = ("Advisor Fees", "advisorFees", "advisorFees", "AFEE")
    COMMISSION_ADJUSTMENT = ("Commission Adjustments", "commissions", "commissions", "ADJ")
    OTHER_INCOME = ("Other Income", "otherIncome", "otherIncome", "OTHR")
    SALES_TAX = ("", "salesTax", "salesTax", "STAX")

    @property
    def type(self) -> str:
        """Returns the `type` of a row of CashTransactions."""
        return self.value[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of an account's ledger. `day` is the one on which it enters the net asset value (reportDate).

    `number` is its transactionID. IBKR's books have it from `known_from` on, which is None for what they have at the
    end of the day, and until `known_until`, when something else takes its place.
    """

    account: str
    day: date
    number: int
    known_from: datetime | None = None
    known_until: datetime | None = None

    def is_known(self, at: datetime) -> bool:
        """Returns whether IBKR's books have it at this moment."""
        return (self.known_from is None or self.known_from <= at) and (
            self.known_until is None or at < self.known_until
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CashEntry(Entry):
    """Cash that comes or goes without a trade. `at` is its dateTime, `settle_day` may be of the past."""

    kind: CashKind
    currency: str
    amount: Decimal
    description: str
    at: datetime
    settle_day: date
    security: Security | None = None
    action_id: int = 0
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeEntry(Entry):
    """A trade of a security; `commission` and `taxes` are negative, in its currency.

    `carried` is what an option that was exercised adds to the cost of the shares. `original` is the trade that this
    one takes back. `exercise` is IBKR's name of what happened to an option.
    """

    security: Security
    quantity: Decimal
    price: Decimal
    at: datetime
    settle_day: date
    trade_id: int
    order_id: int = 0
    commission: Decimal = ZERO
    taxes: Decimal = ZERO
    kind: str = "ExchTrade"
    notes: str = ""
    original: "TradeEntry | None" = None
    carried: Decimal = ZERO
    exercise: str = ""

    @property
    def proceeds(self) -> Decimal:
        """Returns the cash that it brings, before commission and taxes."""
        return -self.security.value(self.quantity, self.price)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyTradeEntry(Entry):
    """A trade of `quantity` of one currency for another one, at so much of that for one; commission in base."""

    currency: str
    other: str
    quantity: Decimal
    price: Decimal
    at: datetime
    trade_id: int
    commission: Decimal
    commission_currency: str
    notes: str = ""

    @property
    def proceeds(self) -> Decimal:
        """Returns what comes of the other currency."""
        return (-self.quantity * self.price).quantize(Decimal("0.000001"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionEntry(Entry):
    """A corporate action reaches the account."""

    action: CorporateAction
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferEntry(Entry):
    """Positions or cash come from another account, or go there.

    `lots` are what was held where it comes from; `quantity` and `cash` have the other sign where it leaves.
    """

    kind: str
    counterpart: str
    at: datetime
    security: Security | None = None
    quantity: Decimal = ZERO
    lots: tuple[Lot, ...] = ()
    currency: str = ""
    cash: Decimal = ZERO

    @property
    def is_incoming(self) -> bool:
        """Returns whether it comes to the account; what was sold short is negative here and there."""
        return self.cash > 0 if self.security is None else self.quantity == total_quantity(self.lots)

    @property
    def is_internal(self) -> bool:
        """Returns whether the other account is the customer's at IBKR too."""
        return self.kind == "INTERNAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class DividendAccrualEntry(Entry):
    """A dividend that is due (code Po), or that is due no longer (Re, with negative amounts)."""

    security: Security
    ex_day: date
    pay_day: date
    quantity: Decimal
    per_share: Decimal
    gross: Decimal
    tax: Decimal
    code: str
    action_id: int

    @property
    def net(self) -> Decimal:
        """Returns what is to come."""
        return self.gross - self.tax


@dataclass(frozen=True, slots=True, kw_only=True)
class InterestAccrualEntry(Entry):
    """Interest that is due, or with the other sign is due no longer; of a bond or of cash."""

    currency: str
    amount: Decimal
    is_bond: bool
    is_reversal: bool
