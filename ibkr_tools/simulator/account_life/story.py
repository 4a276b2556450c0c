"""What an account's customer does and what IBKR does, day after day: one day of the story after another."""

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from decimal import Decimal

from ibkr_tools.simulator.account_life import statement_calendar, story_income, story_trades
from ibkr_tools.simulator.account_life.entries import CashKind, TransferEntry
from ibkr_tools.simulator.account_life.journal import CENT, ZERO, Journal
from ibkr_tools.simulator.account_life.lots import Lot, take
from ibkr_tools.simulator.account_life.securities import Security

_NOTES_OF_TURNS = 20
"""Every so many days there is an option to trade."""

_OTHER_BROKER = "OTHER BROKER LLC"


@dataclass(slots=True)
class Story:
    """The story of one account, which may have had another number before."""

    journal: Journal
    index: int
    positions: int
    day_number: int = -1
    option_turn: int = 0

    def live(self) -> None:
        """Has one day pass; whoever calls this has begun it, and closes it."""
        self.day_number += 1
        journal = self.journal
        story_income.corporate_actions(journal)
        story_income.dividends(journal)
        story_income.interest(journal)
        self._flows()
        self._fees()
        if self.day_number:
            self._trades()
            self._transfers()
        story_income.rebooked_dividends(journal)
        story_income.reclassified_taxes(journal)
        story_income.ends_of_options(journal)

    def _flows(self) -> None:
        journal, rng = self.journal, self.journal.rng
        if not self.day_number:
            first = Decimal(rng.randrange(150_000, 400_000))
            journal.book(
                journal.cash(CashKind.DEPOSIT, journal.base, first, "CASH RECEIPTS / ELECTRONIC FUND TRANSFERS")
            )
        elif rng.random() < 0.045 or self.day_number in {15, 17}:
            is_own = self.day_number != 17 and rng.random() < 0.6
            currency = journal.base if is_own else "USD" if journal.base != "USD" else "EUR"
            amount = Decimal(rng.randrange(50_000, 600_000)) / 100
            # What is sent on a Saturday is booked on the next business day.
            sent = journal.day - timedelta(days=2) if journal.day.weekday() == 0 else None
            entry = journal.cash(
                CashKind.DEPOSIT, currency, amount, "CASH RECEIPTS / ELECTRONIC FUND TRANSFERS", sent=sent
            )
            if rng.random() < 0.08:
                journal.book_late(entry)
            else:
                journal.book(entry)
        if self.day_number > 20 and (rng.random() < 0.012 or self.day_number == 33):
            amount = min(Decimal(rng.randrange(500, 9_000)), max(ZERO, journal.value / 20)).quantize(CENT)
            if amount:
                text = "DISBURSEMENT INITIATED BY Jane & John O'Neill"
                journal.book(journal.cash(CashKind.DEPOSIT, journal.base, -amount, text))

    def _fees(self) -> None:
        journal = self.journal
        month = f"{journal.day:%b %Y}".upper()
        if journal.day == statement_calendar.after(statement_calendar.on_or_after(journal.day.replace(day=1)), 4):
            text = f"P*****45:GLOBAL SNAPSHOT FOR {month}"
            journal.book(journal.cash(CashKind.OTHER_FEE, "USD", Decimal("-4.50"), text))
            journal.book(journal.cash(CashKind.SALES_TAX, journal.base, Decimal("-0.86"), f"VAT {text}"))
            if journal.day.month % 3 == 0:
                amount = -(journal.value / 2000).quantize(CENT)
                journal.book(journal.cash(CashKind.ADVISOR_FEE, journal.base, amount, f"ADVISOR FEE FOR {month}"))
                journal.book(journal.cash(CashKind.BROKER_FEE, journal.base, Decimal(-2), f"MINIMUM FEE {month}"))
            if journal.day.month % 4 == 1:
                text = f"COMMISSION ADJUSTMENT {month}"
                journal.book(journal.cash(CashKind.COMMISSION_ADJUSTMENT, journal.base, Decimal("0.35"), text))
            if journal.day.month == 6:
                journal.book(journal.cash(CashKind.OTHER_INCOME, "USD", Decimal(25), f"SYEP INCOME {month}"))

    def _trades(self) -> None:
        journal, number = self.journal, self.day_number
        if number < 40 and len(journal.ledger.lots) < self.positions:
            story_trades.buy_first_portfolio(journal, self.positions)
        else:
            story_trades.buy_and_sell(journal, self.positions)
        story_trades.change_currencies(journal)
        if self.positions and number % _NOTES_OF_TURNS == 5:
            story_trades.trade_options(journal, self.option_turn)
            self.option_turn += 1
        if self.positions and number % 130 in {50, 70}:
            story_trades.trade_future(journal)
        if number % 25 == 12:
            story_trades.cancel_a_trade(journal)

    def _transfers(self) -> None:
        journal, rng = self.journal, self.journal.rng
        at = datetime.combine(journal.day, time(12))
        if self.positions and self.day_number % 260 == 28:
            security = rng.choice(journal.market.listed(journal.day, 5))
            quantity = Decimal(1000 if security.asset_class == "BOND" else rng.randrange(2, 20))
            cost = security.value(quantity, journal.market.price(security, journal.day) * Decimal("0.8"))
            opened = datetime.combine(journal.market.first_day - timedelta(days=400), time(10))
            number = journal.next_number()
            transfer = self._transfer("ACATS", _OTHER_BROKER, at)
            lots = (Lot(quantity, cost, opened, number),)
            journal.book(replace(transfer, number=number, security=security, quantity=quantity, lots=lots))
            cash = self._transfer("ACATS", _OTHER_BROKER, at)
            journal.book(replace(cash, currency=security.currency, cash=Decimal("321.09")))
        if self.day_number % 260 == 150:
            going = [one for one in journal.held("STK") if journal.ledger.quantity(one) >= 2]
            if going:
                journal.book(self.outgoing("FOP", _OTHER_BROKER, rng.choice(going), at))

    def outgoing(self, kind: str, counterpart: str, security: Security, at: datetime) -> TransferEntry:
        """Returns a transfer of half of what is held of a security, with its lots."""
        lots = self.journal.ledger.lots[security.conid]
        quantity = max(Decimal(1), (self.journal.ledger.quantity(security) / 2) // 1)
        taken, _ = take(lots, quantity)
        transfer = self._transfer(kind, counterpart, at)
        return replace(transfer, security=security, quantity=-quantity, lots=taken)

    def _transfer(self, kind: str, counterpart: str, at: datetime) -> TransferEntry:
        journal = self.journal
        return TransferEntry(
            account=journal.account,
            day=journal.day,
            number=journal.next_number(),
            kind=kind,
            counterpart=counterpart,
            at=at,
        )

    def transfer_to(self, other: "Story") -> None:
        """Moves cash, or half of a position, to another account of the same customer."""
        at = datetime.combine(self.journal.day, time(12))
        theirs = other.journal.account
        sent = replace(self._transfer("INTERNAL", theirs, at), currency=self.journal.base, cash=Decimal("-500.00"))
        held = [one for one in self.journal.held("STK") if self.journal.ledger.quantity(one) >= 2]
        if held and self.journal.rng.random() < 0.5:
            sent = self.outgoing("INTERNAL", theirs, self.journal.rng.choice(held), at)
        self.journal.book(sent)
        other.receive(sent)

    def receive(self, sent: TransferEntry) -> None:
        """Takes what another account has sent."""
        journal = self.journal
        journal.book(
            replace(
                sent,
                account=journal.account,
                number=journal.next_number(),
                counterpart=sent.account,
                quantity=-sent.quantity,
                cash=-sent.cash,
            )
        )

    def migrate(self, journal: Journal) -> None:
        """Moves everything to another number of the same account, which the story goes on with.

        Positions and cash are transferred with their lots; dividends and interest that are due are due there.
        """
        old, self.journal = self.journal, journal
        at = datetime.combine(journal.day, time(1))
        for conid, lots in list(old.ledger.lots.items()):
            security = old.ledger.securities[conid]
            out = TransferEntry(
                account=old.account,
                day=old.day,
                number=old.next_number(),
                kind="INTERCOMPANY",
                counterpart=journal.account,
                at=at,
                security=security,
                quantity=-sum((lot.quantity for lot in lots), ZERO),
                lots=lots,
            )
            old.book(out)
            self.receive(out)
        for currency, amount in sorted(old.ledger.cash.items()):
            out = TransferEntry(
                account=old.account,
                day=old.day,
                number=old.next_number(),
                kind="INTERCOMPANY",
                counterpart=journal.account,
                at=at,
                currency=currency,
                cash=-amount,
            )
            old.book(out)
            self.receive(out)
        for accrual in list(old.ledger.dividend_accruals.values()):
            old.book(story_income.reversed_accrual(accrual, old))
            journal.book(replace(accrual, account=journal.account, day=journal.day, number=journal.next_number()))
        story_income.move_accrued_interest(old, journal)
