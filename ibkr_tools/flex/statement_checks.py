"""What has to add up in a statement, and what does not. Pure.

IBKR's sections repeat each other: a cash report's movements lead from its starting to its ending cash, the change in
NAV ends where the net asset value does, lots sum to their position. A statement that contradicts itself was cut, edited
or made by a query that counts bookings twice.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TypeVar

from ibkr_tools.flex.flex_values import FlexValueError, parse_day, parse_decimal
from ibkr_tools.flex.statement_xml import Row, Statement, StatementSection
from ibkr_tools.number_format import ZERO, exact_product, exact_sum, format_amount

_T = TypeVar("_T")

CENT = Decimal("0.01")
"""How far two sides of one sum may be apart, in the currency of both."""

FX_TOLERANCE = Decimal("0.0005")
"""How far a sum of converted amounts may be off, as a ratio of the amounts: fxRateToBase has five digits."""

CASH_MOVEMENTS = (
    *("clientFees", "commissions", "referralFee", "commissionCreditsRedemption", "billableCommissions"),
    *("depositWithdrawals", "carbonCredits", "donations", "accountTransfers", "linkingAdjustments"),
    *("internalTransfers", "paxosTransfers", "excessFundSweep", "debitCardActivity", "billPay", "dividends"),
    *("insuredDepositInterest", "brokerInterest", "brokerFees", "bondInterest", "cashSettlingMtm", "realizedVm"),
    *("realizedForexVm", "cfdCharges", "netTradesSales", "netTradesPurchases", "advisorFees", "feesReceivables"),
    *("paymentInLieu", "transactionTax", "taxReceivables", "withholdingTax", "withholding871m"),
    *("withholdingCollectedTax", "salesTax", "billableSalesTax", "ipoSubscription", "fxTranslationGainLoss"),
    *("otherFees", "otherIncome", "other"),
)
"""Attributes of CashReportCurrency that lead from its starting to its ending cash."""

NAV_COMPONENTS = (
    *("costAdjustments", "transferredPnlAdjustments", "depositsWithdrawals", "internalCashTransfers"),
    *("assetTransfers", "debitCardActivity", "billPay", "dividends", "withholdingTax", "withholding871m"),
    *("withholdingTaxCollected", "changeInDividendAccruals", "interest", "changeInInterestAccruals"),
    *("changeInIncentiveCouponAccruals", "advisorFees", "brokerFees", "changeInBrokerFeeAccruals", "clientFees"),
    *("otherFees", "feesReceivables", "commissions", "commissionReceivables", "forexCommissions", "transactionTax"),
    *("taxReceivables", "salesTax", "billableSalesTax", "softDollars", "netFxTrading", "fxTranslation"),
    *("linkingAdjustments", "corporateActionProceeds", "commissionCreditsRedemption", "grantActivity"),
    *("excessFundSweep", "referralFee", "donations", "carbonCredits", "paxosTransfers", "mtmAtPaxos"),
    *("commissionsAtPaxos", "otherIncome", "other", "changeInCGTWithholdingAccruals", "changeInLiteSurchargeAccruals"),
)
"""Attributes of ChangeInNAV that lead from its starting to its ending value, beside the profit or loss."""

PROFIT_SETTINGS = (("mtm",), ("realized", "changeInUnrealized"))
"""Attributes of ChangeInNAV with the profit or loss; which of them counts depends on a setting of the query."""

ASSET_PARTS = ("stock", "options", "bonds", "notes", "funds", "commodities", "crypto", "physDel")
"""Parts of the net asset value that are the values of positions."""

OTHER_PARTS = (
    *("cash", "dividendAccruals", "interestAccruals", "forexCfdUnrealizedPl", "cfdUnrealizedPl", "ipoSubscription"),
    *("softDollars", "marginFinancingChargeAccruals", "incentiveCouponAccruals", "eventContractInterestAccruals"),
    *("liteSurchargeAccruals", "slbCashCollateral", "slbDirectSecuritiesBorrowed", "slbDirectSecuritiesLent"),
    *("fdicInsuredBankSweepAccount", "fdicInsuredAccountInterestAccruals", "brokerFeesAccruals"),
    "cgtWithholdingAccruals",
)
"""The other parts of the net asset value."""

UNVALUED_CLASSES = frozenset({"FUT", "CFD", "FXCFD", "CASH", "IND"})
"""Classes of positions whose values are not in the net asset value: they are settled daily, or cash."""

MAX_UNREADABLE = 10
"""So many texts in the place of numbers are named."""

_SUFFIXES_OF_SHARES = ("Sec", "Com", "MTD", "YTD", "Paxos", "IBUKL", "Long", "Short", "Component")
"""Of attributes that are a share of another one: of a segment, a part of the period, one side."""

_NO_MOVEMENTS = frozenset(
    {
        *("accountId", "acctAlias", "model", "currency", "fxRateToBase", "fromDate", "toDate", "reportDate"),
        *("levelOfDetail", "deposits", "withdrawals", "endingSettledCash", "mtm", "realized", "changeInUnrealized"),
        "twr",
    }
)
"""Attributes that are no amounts, or amounts that are in others already."""

_DEPOSIT_TYPES = frozenset({"depositswithdrawals", "deposits", "withdrawals"})


@dataclass(frozen=True)
class Discrepancy:
    """Two sides that should be equal and are not."""

    statement: Statement
    what: str
    one: str
    one_value: Decimal
    other: str
    other_value: Decimal

    def __str__(self) -> str:
        statement = self.statement
        sides = f"{self.one} {_figure(self.one_value)}, {self.other} {_figure(self.other_value)}"
        return f"{statement.account}, {statement.from_day} to {statement.to_day}: {self.what}: {sides}"


def _figure(value: Decimal) -> str:
    return format_amount(value, min(8, max(2, -int(value.as_tuple().exponent))))


def _unknown_amounts(row: Row, known: AbstractSet[str]) -> Decimal:
    """Returns the sum of the amounts whose names are not known: IBKR adds movements without notice."""
    amounts = []
    for name, text in row.attributes.items():
        if name not in known and name not in _NO_MOVEMENTS and not name.endswith(_SUFFIXES_OF_SHARES):
            with suppress(FlexValueError):
                amounts.append(parse_decimal(text))
    return exact_sum(amounts)


@dataclass
class _PerInstrument:
    """Sums by instrument. An account with models has a row for each of them, and maybe one for all together."""

    _of_models: dict[str, Decimal] = field(default_factory=dict)
    _of_account: dict[str, Decimal] = field(default_factory=dict)

    def add(self, conid: str, model: str, number: Decimal | None) -> None:
        """Takes a row's number, if it has one."""
        if number is not None:
            sums = self._of_models if model else self._of_account
            sums[conid] = sums.get(conid, ZERO) + number

    def totals(self) -> dict[str, Decimal]:
        """Returns the sum of each instrument; the row for all models together is not added to theirs."""
        return self._of_account | self._of_models


@dataclass
class StatementChecks:
    """Collects what the checks of one statement need, and makes them when it is whole.

    `unreadable` are texts in the place of numbers or days; `unchecked` says what could not be checked, and why.
    """

    statement: Statement
    sections: set[str] = field(default_factory=set)
    attributes: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    rows: int = 0
    summary_rows: int = 0
    unreadable: list[str] = field(default_factory=list)
    _cash_reports: list[Row] = field(default_factory=list)
    _nav_changes: list[Row] = field(default_factory=list)
    _navs: list[Row] = field(default_factory=list)
    _last_nav: Row | None = None
    _deposits: dict[str, list[Decimal | None]] = field(default_factory=lambda: defaultdict(list))
    _positions: _PerInstrument = field(default_factory=_PerInstrument)
    _lots: _PerInstrument = field(default_factory=_PerInstrument)
    _symbols: dict[str, str] = field(default_factory=dict)
    _position_values: _PerInstrument = field(default_factory=_PerInstrument)
    _has_unvalued: bool = False

    def add(self, event: StatementSection | Row) -> None:
        """Takes the next part of the statement."""
        if isinstance(event, StatementSection):
            self.sections.add(event.name)
            return
        self.rows += 1
        self.attributes[event.element] |= event.attributes.keys()
        match event.element:
            case "CashReportCurrency":
                self._cash_reports.append(event)
            case "ChangeInNAV":
                self._nav_changes.append(event)
            case "EquitySummaryByReportDateInBase":
                if day := self._day(event, "reportDate"):
                    self._navs.append(event)
                    if day == self.statement.to_day and not event.attributes.get("model"):
                        self._last_nav = event
            case "OpenPosition":
                self._add_position(event)
            case "CashTransaction":
                self._add_cash_transaction(event)
            case _:
                pass

    def _number(self, row: Row, name: str) -> Decimal | None:
        return self._parse(parse_decimal, row, name)

    def _day(self, row: Row, name: str) -> date | None:
        return self._parse(parse_day, row, name)

    def _parse(self, parse: Callable[[str], _T | None], row: Row, name: str) -> _T | None:
        try:
            return parse(row.attributes.get(name, ""))
        except FlexValueError as error:
            if len(self.unreadable) < MAX_UNREADABLE:
                self.unreadable.append(f"{row.element} {name}: {error}")
            return None

    def _in_base(self, row: Row, name: str) -> Decimal | None:
        """Returns an amount in the base currency; None where the query gives no rate, which IBKR writes as -1 too."""
        rate = self._number(row, "fxRateToBase")
        return exact_product(self._number(row, name), rate if rate is not None and rate > 0 else None)

    def _add_position(self, row: Row) -> None:
        conid = row.attributes.get("conid") or row.attributes.get("symbol", "")
        quantity = self._number(row, "position")
        model = row.attributes.get("model", "")
        if row.attributes.get("levelOfDetail", "").upper() == "LOT":
            self._lots.add(conid, model, quantity)
            return
        self._positions.add(conid, model, quantity)
        self._symbols[conid] = row.attributes.get("symbol") or conid
        if row.attributes.get("assetCategory") not in UNVALUED_CLASSES:
            value = self._in_base(row, "positionValue")
            self._position_values.add(conid, model, value)
            self._has_unvalued |= value is None

    def _add_cash_transaction(self, row: Row) -> None:
        level = row.attributes.get("levelOfDetail", "").upper()
        self.summary_rows += level == "SUMMARY"
        kind = "".join(letter for letter in row.attributes.get("type", "").lower() if letter.isalpha())
        self._day(row, "reportDate")
        if kind in _DEPOSIT_TYPES:
            self._deposits[level].append(self._in_base(row, "amount"))

    def discrepancies(self) -> Iterator[Discrepancy]:
        """Yields what does not add up; what the query gives no fields for is not judged."""
        yield from self._cash_discrepancies()
        yield from self._nav_discrepancies()
        yield from self._position_discrepancies()
        yield from self._deposit_discrepancies()

    def _cash_discrepancies(self) -> Iterator[Discrepancy]:
        for row in self._cash_reports:
            movements: Sequence[str] = CASH_MOVEMENTS
            if "depositWithdrawals" not in row.attributes:
                movements = (*CASH_MOVEMENTS, "deposits", "withdrawals")
            what = f"cash report of {row.attributes.get('currency', '?')}"
            yield from self._unbalanced(
                row, what, ("startingCash", "starting cash and movements", movements), ("endingCash", "ending cash")
            )

    def _nav_discrepancies(self) -> Iterator[Discrepancy]:
        for row in self._nav_changes:
            found = [
                list(
                    self._unbalanced(
                        row,
                        "change in NAV",
                        ("startingValue", "starting value and components", (*NAV_COMPONENTS, *profit)),
                        ("endingValue", "ending value"),
                    )
                )
                for profit in PROFIT_SETTINGS
            ]
            if all(found):
                yield from found[0]
            last = None if row.attributes.get("model") else self._last_nav
            ending, total = self._number(row, "endingValue"), None if last is None else self._number(last, "total")
            if ending is not None and total is not None and abs(ending - total) > CENT:
                yield Discrepancy(
                    self.statement, "net asset value", "ending value of the change", ending, "of the last day", total
                )
        for row in self._navs:
            what = f"net asset value of {row.attributes['reportDate']}"
            parts = (*ASSET_PARTS, *OTHER_PARTS)
            yield from self._unbalanced(row, what, ("", "parts", parts), ("total", "total"))

    def _unbalanced(
        self, row: Row, what: str, start: tuple[str, str, Sequence[str]], end: tuple[str, str]
    ) -> Iterator[Discrepancy]:
        """Yields a discrepancy if a row's start and movements do not lead to its end.

        A query without all its fields cannot be judged, and a field that IBKR has added since may be a movement.
        """
        start_name, start_text, movements = start
        end_name, end_text = end
        ending = self._number(row, end_name)
        starting = self._number(row, start_name) if start_name else ZERO
        # Older statements lack names that newer ones have; a query with some fields alone lacks most of them.
        if ending is None or starting is None or 2 * len(row.attributes.keys() & set(movements)) < len(movements):
            return
        reached = exact_sum([starting, *(self._number(row, name) for name in movements)])
        difference = ending - reached
        if (
            abs(difference) > CENT
            and abs(difference - _unknown_amounts(row, {*movements, start_name, end_name})) > CENT
        ):
            yield Discrepancy(self.statement, what, start_text, reached, end_text, ending)

    def _position_discrepancies(self) -> Iterator[Discrepancy]:
        of_lots = self._lots.totals()
        for conid, quantity in self._positions.totals().items():
            lots = of_lots.get(conid)
            if lots is not None and lots != quantity:
                yield Discrepancy(
                    self.statement, f"lots of {self._symbols[conid]}", "the lots", lots, "the position", quantity
                )
        last, by_instrument = self._last_nav, self._position_values.totals()
        if last is None or not by_instrument or self._has_unvalued or "OpenPositions" not in self.sections:
            return
        parts = exact_sum(self._number(last, name) for name in ASSET_PARTS)
        values = exact_sum(by_instrument.values())
        if abs(parts - values) > max(CENT, FX_TOLERANCE * exact_sum(abs(value) for value in by_instrument.values())):
            yield Discrepancy(self.statement, "positions", "their values", values, "in the net asset value", parts)

    def _deposit_discrepancies(self) -> Iterator[Discrepancy]:
        whole = [row for row in self._nav_changes if not row.attributes.get("model")]
        changes = [self._number(row, "depositsWithdrawals") for row in whole]
        if len(changes) != 1 or changes[0] is None or "CashTransactions" not in self.sections:
            return
        stated = self._deposits.get("DETAIL") or self._deposits.get("") or self._deposits.get("SUMMARY") or []
        amounts = [amount for amount in stated if amount is not None]
        if len(amounts) < len(stated):
            return
        booked = exact_sum(amounts)
        if abs(booked - changes[0]) > max(CENT, FX_TOLERANCE * exact_sum(abs(amount) for amount in amounts)):
            yield Discrepancy(
                self.statement, "deposits and withdrawals", "the bookings", booked, "in the change in NAV", changes[0]
            )
