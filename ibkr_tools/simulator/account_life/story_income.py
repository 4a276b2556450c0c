"""What comes by itself: corporate actions, dividends, interest, and the end of options."""

from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal

from ibkr_tools.simulator.account_life import statement_calendar
from ibkr_tools.simulator.account_life.corporate_actions import ActionKind
from ibkr_tools.simulator.account_life.entries import (
    ActionEntry,
    CashEntry,
    CashKind,
    DividendAccrualEntry,
    InterestAccrualEntry,
    TradeEntry,
)
from ibkr_tools.simulator.account_life.journal import CENT, ZERO, Journal
from ibkr_tools.simulator.account_life.lots import take, total_cost
from ibkr_tools.simulator.account_life.market import Dividend
from ibkr_tools.simulator.account_life.securities import Security

_OF_BOND, _OF_CASH = True, False


def corporate_actions(journal: Journal) -> None:
    """Has the day's corporate actions reach what the account holds; a fraction of a share is sold."""
    for action in journal.market.actions(journal.day):
        if not journal.ledger.quantity(action.security):
            continue
        at = datetime.combine(statement_calendar.before(journal.day), time(20, 25))
        number = journal.next_number()
        journal.next_number()
        journal.book(ActionEntry(account=journal.account, day=journal.day, number=number, action=action, at=at))
        if action.kind is ActionKind.REVERSE_SPLIT and action.successor is not None:
            quantity = journal.ledger.quantity(action.successor)
            if fraction := quantity % 1:
                _sell_fraction(journal, action.successor, fraction)


def _sell_fraction(journal: Journal, security: Security, fraction: Decimal) -> None:
    journal.book(
        TradeEntry(
            account=journal.account,
            day=journal.day,
            number=journal.next_number(),
            security=security,
            quantity=-fraction,
            price=journal.market.price(security, journal.day).quantize(CENT),
            at=datetime.combine(journal.day, time(20, 25)),
            settle_day=journal.day,
            trade_id=journal.next_number(),
            kind="FracShare",
            notes="LF",
        )
    )


def ends_of_options(journal: Journal) -> None:
    """Has options whose last day it is expire, be assigned or be exercised."""
    for option in journal.held("OPT"):
        if option.expiry != journal.day:
            continue
        terms = option.option
        if terms is None:
            continue
        quantity = journal.ledger.quantity(option)
        spot = journal.market.price(terms.underlying, journal.day)
        is_in_the_money = spot > terms.strike if terms.right == "C" else spot < terms.strike
        name = ("Exercise" if quantity > 0 else "Assignment") if is_in_the_money else "Expiration"
        taken, _ = take(journal.ledger.lots[option.conid], quantity)
        carried = total_cost(taken)
        notes = {"Exercise": "Ex", "Assignment": "A", "Expiration": "Ep"}[name]
        end = TradeEntry(
            account=journal.account,
            day=journal.day,
            number=journal.next_number(),
            security=option,
            quantity=-quantity,
            price=ZERO,
            at=datetime.combine(journal.day, time(16, 20)),
            settle_day=journal.day,
            trade_id=journal.next_number(),
            kind="BookTrade",
            notes=notes,
            exercise=name,
        )
        journal.book(end)
        if is_in_the_money:
            shares = quantity * option.multiplier * (1 if terms.right == "C" else -1)
            journal.book(
                replace(
                    end,
                    number=journal.next_number(),
                    security=terms.underlying,
                    quantity=shares,
                    price=terms.strike,
                    settle_day=statement_calendar.after(journal.day),
                    trade_id=journal.next_number(),
                    carried=carried,
                )
            )


def dividends(journal: Journal) -> None:
    """Has dividends be due on the ex-day, and be paid."""
    for dividend in journal.market.dividends(journal.day):
        quantity = journal.held_before(dividend.security)
        if quantity > 0:
            _post(journal, dividend, quantity)
    for accrual in list(journal.ledger.dividend_accruals.values()):
        if accrual.pay_day == journal.day:
            _pay(journal, accrual)


def _post(journal: Journal, dividend: Dividend, quantity: Decimal) -> None:
    gross = (quantity * dividend.per_share).quantize(CENT)
    if not gross:
        return
    journal.book(
        DividendAccrualEntry(
            account=journal.account,
            day=journal.day,
            number=journal.next_number(),
            security=dividend.security,
            ex_day=dividend.ex_day,
            pay_day=dividend.pay_day,
            quantity=quantity,
            per_share=dividend.per_share,
            gross=gross,
            tax=(gross * dividend.tax_rate).quantize(CENT),
            code="Po",
            action_id=dividend.action_id,
        )
    )


def reversed_accrual(accrual: DividendAccrualEntry, journal: Journal) -> DividendAccrualEntry:
    """Returns the entry with which a dividend is due no longer."""
    return replace(
        accrual,
        account=journal.account,
        day=journal.day,
        number=journal.next_number(),
        gross=-accrual.gross,
        tax=-accrual.tax,
        code="Re",
    )


def _pay(journal: Journal, accrual: DividendAccrualEntry) -> None:
    security = accrual.security
    in_lieu = journal.rng.random() < 0.06
    kind = CashKind.IN_LIEU if in_lieu else CashKind.DIVIDEND
    head = f"{security.symbol}({security.isin}) {'PAYMENT IN LIEU OF DIVIDEND' if in_lieu else 'CASH DIVIDEND'}"
    head = f"{head} {security.currency} {accrual.per_share} PER SHARE"
    paid = journal.cash(
        kind, security.currency, accrual.gross, f"{head} (Ordinary Dividend)", security=security,
        action_id=accrual.action_id,
    )  # fmt: skip
    booked = [paid]
    if accrual.tax:
        tax_kind = CashKind.TAX_871M if in_lieu else CashKind.TAX
        booked.append(
            journal.cash(
                tax_kind, security.currency, -accrual.tax, f"{head} - {security.country} TAX", security=security,
                action_id=accrual.action_id,
            )
        )  # fmt: skip
    journal.book(reversed_accrual(accrual, journal))
    # Of some dividends IBKR's books say something else weeks later.
    is_corrected = journal.rng.random() < 0.12
    for entry in booked:
        if is_corrected:
            journal.book_corrected(entry, replace(entry, amount=(entry.amount * Decimal("1.04")).quantize(CENT)))
        else:
            journal.book(entry)


def rebooked_dividends(journal: Journal) -> None:
    """Takes dividends of the last weeks back, and books them anew: with more tax, and the old settlement day."""
    if journal.rng.random() >= 0.03:
        return
    recent = [
        entry
        for entry in journal.entries[-200:]
        if isinstance(entry, CashEntry)
        and entry.kind is CashKind.DIVIDEND
        and 5 <= (journal.day - entry.day).days <= 40
        and entry.known_until is None
        and entry.amount > 0
        and "Re" not in entry.code
    ]
    for entry in recent[:1]:
        _rebook(journal, entry, (entry.amount * Decimal("0.97")).quantize(CENT))


def reclassified_taxes(journal: Journal) -> None:
    """On the third of February or soon after, reclassifies some taxes of the past year."""
    if journal.day != statement_calendar.on_or_after(date(journal.day.year, 2, 3)):
        return
    taxes = [
        entry
        for entry in journal.entries
        if isinstance(entry, CashEntry)
        and entry.kind is CashKind.TAX
        and entry.settle_day.year == journal.day.year - 1
        and entry.amount < 0
    ]
    for entry in taxes[:3]:
        _rebook(journal, entry, (entry.amount * Decimal("0.8")).quantize(CENT))


def _rebook(journal: Journal, entry: CashEntry, amount: Decimal) -> None:
    """Takes a booking back and books another amount, both settled when the first one was."""
    again = replace(entry, account=journal.account, day=journal.day, known_from=None, known_until=None)
    journal.book(replace(again, number=journal.next_number(), amount=-entry.amount, code="Re"))
    journal.book(replace(again, number=journal.next_number(), amount=amount, code="Re"))


def interest(journal: Journal) -> None:
    """Has interest of cash and bonds be due at the end of each month, and be paid."""
    day = journal.day
    if statement_calendar.after(day).month != day.month:
        _accrue(journal)
    if day == statement_calendar.after(statement_calendar.on_or_after(day.replace(day=1)), 2):
        _pay_interest(journal)
    if day.month in {3, 9} and day == statement_calendar.on_or_after(day.replace(day=15)):
        _pay_coupons(journal)


def _entry(journal: Journal, currency: str, amount: Decimal, *, is_bond: bool) -> InterestAccrualEntry:
    return InterestAccrualEntry(
        account=journal.account,
        day=journal.day,
        number=journal.next_number(),
        currency=currency,
        amount=amount,
        is_bond=is_bond,
        is_reversal=False,
    )


def _accrue(journal: Journal) -> None:
    for currency, balance in sorted(journal.ledger.cash.items()):
        yearly = Decimal("0.05") if balance < 0 else Decimal("0.01")
        amount = (balance * yearly / 12).quantize(CENT)
        if amount:
            journal.book(_entry(journal, currency, amount, is_bond=_OF_CASH))
    for bond in journal.held("BOND"):
        amount = (journal.ledger.quantity(bond) * bond.coupon / 1200).quantize(CENT)
        if amount:
            journal.book(_entry(journal, bond.currency, amount, is_bond=_OF_BOND))


def _reverse(journal: Journal, currency: str, *, is_bond: bool) -> Decimal:
    amount = journal.ledger.accrued_interest.get((currency, is_bond), ZERO)
    if amount:
        journal.book(replace(_entry(journal, currency, -amount, is_bond=is_bond), is_reversal=True))
    return amount


def _pay_interest(journal: Journal) -> None:
    month = f"{statement_calendar.before(journal.day.replace(day=1)):%b-%Y}".upper()
    for currency in sorted(journal.ledger.cash):
        amount = _reverse(journal, currency, is_bond=_OF_CASH)
        if amount:
            kind = CashKind.INTEREST_RECEIVED if amount > 0 else CashKind.INTEREST_PAID
            side = "CREDIT" if amount > 0 else "DEBIT"
            journal.book(journal.cash(kind, currency, amount, f"{currency} {side} INT FOR {month}"))


def _pay_coupons(journal: Journal) -> None:
    for currency in sorted({currency for currency, is_bond in journal.ledger.accrued_interest if is_bond}):
        _reverse(journal, currency, is_bond=_OF_BOND)
    for bond in journal.held("BOND"):
        amount = journal.held_before(bond) * bond.coupon / 200
        text = f"BOND COUPON PAYMENT ({bond.symbol})"
        if amount:
            journal.book(journal.cash(CashKind.COUPON, bond.currency, amount, text, security=bond))


def move_accrued_interest(old: Journal, new: Journal) -> None:
    """Has the interest that is due to one account number be due to another one."""
    for currency, is_bond in sorted(old.ledger.accrued_interest):
        amount = _reverse(old, currency, is_bond=is_bond)
        if amount:
            new.book(_entry(new, currency, amount, is_bond=is_bond))
