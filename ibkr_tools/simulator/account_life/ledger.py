"""The ledger of one account: it takes entries, and says what the account has at the end of each day."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal

from ibkr_tools.simulator.account_life import statement_calendar
from ibkr_tools.simulator.account_life.booked import (
    AnyTrade,
    BookedAction,
    BookedTrade,
    BookedTransfer,
    DayClose,
    Movement,
)
from ibkr_tools.simulator.account_life.entries import (
    ActionEntry,
    CashEntry,
    CurrencyTradeEntry,
    DividendAccrualEntry,
    Entry,
    InterestAccrualEntry,
    TradeEntry,
    TransferEntry,
)
from ibkr_tools.simulator.account_life.lots import Lot, put_back, scale, share, take, total_cost, total_quantity
from ibkr_tools.simulator.account_life.market import Market
from ibkr_tools.simulator.account_life.securities import PARTS, Security

ZERO = Decimal(0)


class Ledger:
    """An account's books. Entries are applied in their order, and every business day is closed once.

    `closes` has one element for each closed day; the lists beside it have what was booked, in order.
    """

    def __init__(self, market: Market, base: str) -> None:
        self.market = market
        self.base = base
        self.cash: dict[str, Decimal] = {}
        self.lots: dict[int, tuple[Lot, ...]] = {}
        self.securities: dict[int, Security] = {}
        self.dividend_accruals: dict[tuple[int, int, date], DividendAccrualEntry] = {}
        self.accrued_interest: dict[tuple[str, bool], Decimal] = {}
        self.closes: list[DayClose] = []
        self.movements: list[Movement] = []
        self.trades: list[AnyTrade] = []
        self.actions: list[BookedAction] = []
        self.transfers: list[BookedTransfer] = []
        self.dividend_changes: list[DividendAccrualEntry] = []
        self.interest_changes: list[InterestAccrualEntry] = []
        self._booked_trades: dict[int, BookedTrade] = {}
        self._exchanged: Decimal = ZERO

    def quantity(self, security: Security) -> Decimal:
        """Returns how much is held."""
        return total_quantity(self.lots.get(security.conid, ()))

    def apply(self, entry: Entry) -> None:
        """Books an entry."""
        match entry:
            case CashEntry():
                attributes = entry.kind.value[1:3]
                self._move(entry, entry.currency, entry.amount, attributes, entry.kind.value[3], entry.description)
            case TradeEntry():
                self._apply_trade(entry)
            case CurrencyTradeEntry():
                self._apply_currency_trade(entry)
            case ActionEntry():
                self._apply_action(entry)
            case TransferEntry():
                self._apply_transfer(entry)
            case DividendAccrualEntry():
                self.dividend_changes.append(entry)
                key = (entry.security.conid, entry.action_id, entry.pay_day)
                if entry.code == "Po":
                    self.dividend_accruals[key] = entry
                else:
                    del self.dividend_accruals[key]
            case InterestAccrualEntry():
                self.interest_changes.append(entry)
                accrued = (entry.currency, entry.is_bond)
                self.accrued_interest[accrued] = self.accrued_interest.get(accrued, ZERO) + entry.amount

    def _move(
        self, entry: Entry, currency: str, amount: Decimal, attributes: tuple[str, str], code: str, description: str
    ) -> None:
        self.cash[currency] = self.cash.get(currency, ZERO) + amount
        if amount:
            self.movements.append(Movement(entry.day, currency, amount, *attributes, code, description, entry))

    def _exchange(self, day: date, currency: str, value: Decimal) -> None:
        """Notes cash that was paid for positions (negative) or came for them: it is no profit."""
        self._exchanged += value * self.market.rate(currency, self.base, day)

    def _hold(self, security: Security, lots: Iterable[Lot]) -> None:
        kept = tuple(lots)
        self.securities[security.conid] = security
        if kept:
            self.lots[security.conid] = kept
        else:
            self.lots.pop(security.conid, None)

    def _apply_trade(self, entry: TradeEntry) -> None:
        security = entry.security
        attribute = "netTradesSales" if entry.proceeds > 0 else "netTradesPurchases"
        code = "SELL" if entry.quantity < 0 else "BUY"
        if not security.is_settled_daily:
            self._move(entry, security.currency, entry.proceeds, (attribute, ""), code, security.description)
            self._exchange(entry.day, security.currency, entry.proceeds)
        else:
            # The day's settlement is from this price on.
            self._settle(entry, security, entry.quantity, entry.price)
        self._move(
            *(entry, security.currency, entry.commission, ("commissions", "commissions")),
            *("COMM", security.description),
        )
        self._move(
            *(entry, security.currency, entry.taxes, ("transactionTax", "transactionTax")),
            *("TTAX", security.description),
        )
        booked = self._cancel(entry, entry.original) if entry.original else self._trade_lots(entry)
        self._booked_trades[entry.number] = booked
        self.trades.append(booked)

    def _settle(self, entry: Entry, security: Security, quantity: Decimal, since_price: Decimal) -> None:
        """Has a day's profit of a future go to the cash."""
        profit = security.value(quantity, self.market.price(security, entry.day) - since_price)
        self._move(entry, security.currency, profit, ("cashSettlingMtm", ""), "FUTMTM", security.description)
        self._exchange(entry.day, security.currency, profit)

    def _trade_lots(self, entry: TradeEntry) -> BookedTrade:
        security, quantity = entry.security, entry.quantity
        held = self.lots.get(security.conid, ())
        net = entry.proceeds + entry.commission + entry.taxes - entry.carried
        is_closing = bool(held) and (total_quantity(held) > 0) is (quantity < 0)
        closed, left = take(held, -quantity) if is_closing else ((), held)
        closed_quantity = -total_quantity(closed)
        opened_quantity = quantity - closed_quantity
        net_of_closed = net if not opened_quantity else net * closed_quantity / quantity
        net_of_opened = (net - net_of_closed).quantize(Decimal("0.00000001"))
        if opened_quantity:
            left = (*left, Lot(opened_quantity, -net_of_opened, entry.at, entry.number))
        self._hold(security, left)
        # An option that is exercised makes no profit: it passes its cost on to the shares.
        passed_on = entry.exercise in {"Assignment", "Exercise"} and security.underlying is not None
        realized = ZERO if passed_on or not closed else net - net_of_opened - total_cost(closed)
        return BookedTrade(
            *(entry, -net_of_opened - total_cost(closed), realized, closed),
            is_opening=bool(opened_quantity),
            is_closing=bool(closed),
        )

    def _cancel(self, entry: TradeEntry, original: TradeEntry) -> BookedTrade:
        before = self._booked_trades[original.number]
        held = self.lots.get(entry.security.conid, ())
        opened = [lot for lot in held if lot.number == original.number]
        left = [lot for lot in held if lot.number != original.number]
        if total_quantity(opened) - total_quantity(before.closed) != original.quantity:
            raise ValueError(f"what trade {original.number} opened is not there any more")
        self._hold(entry.security, put_back(left, before.closed))
        return BookedTrade(entry, -before.cost, -before.realized, (), before.is_opening, before.is_closing)

    def _apply_currency_trade(self, entry: CurrencyTradeEntry) -> None:
        for currency, amount in ((entry.currency, entry.quantity), (entry.other, entry.proceeds)):
            attribute = "netTradesSales" if amount > 0 else "netTradesPurchases"
            description = f"{entry.currency}.{entry.other}"
            self._move(entry, currency, amount, (attribute, "netFxTrading"), "FOREX", description)
        attributes = ("commissions", "forexCommissions")
        self._move(entry, entry.commission_currency, entry.commission, attributes, "COMM", "FOREX COMMISSION")
        self.trades.append(entry)

    def _apply_action(self, entry: ActionEntry) -> None:
        action = entry.action
        old = self.lots.get(action.security.conid, ())
        quantity = total_quantity(old)
        if action.child is not None:
            self._spin_off(entry, action.child, old)
        elif action.successor is None:
            self._hold(action.security, ())
            proceeds = quantity * action.cash
            self._move(
                *(entry, action.security.currency, proceeds, ("other", "")),
                *("CORP", action.description),
            )
            self._exchange(entry.day, action.security.currency, proceeds)
            self._book_action(entry, 0, action.security, -quantity, proceeds, proceeds - total_cost(old))
        else:
            scaled = scale(old, action.ratio)
            if action.successor.conid == action.security.conid:
                self._hold(action.security, scaled)
                self._book_action(entry, 0, action.security, total_quantity(scaled) - quantity, ZERO, ZERO)
            else:
                self._hold(action.security, ())
                self._hold(action.successor, scaled)
                self._book_action(entry, 0, action.security, -quantity, ZERO, ZERO)
                self._book_action(entry, 1, action.successor, total_quantity(scaled), ZERO, ZERO)

    def _spin_off(self, entry: ActionEntry, child: Security, old: tuple[Lot, ...]) -> None:
        action = entry.action
        kept = share(old, 1 - action.child_share)
        self._hold(action.security, kept)
        spun = [lot for lot in scale(share(old, action.child_share), action.child_ratio) if lot.quantity]
        if spun:
            # No cost is lost to rounding.
            rest = total_cost(old) - total_cost(kept) - total_cost(spun[:-1])
            spun[-1] = replace(spun[-1], cost=rest)
        self._hold(child, spun)
        self._book_action(entry, 0, child, total_quantity(spun), ZERO, ZERO)

    def _book_action(
        self, entry: ActionEntry, leg: int, security: Security, quantity: Decimal, proceeds: Decimal, realized: Decimal
    ) -> None:
        day = entry.day if security.conid != entry.action.security.conid else statement_calendar.before(entry.day)
        value = security.value(quantity, self.market.price(security, day))
        self.actions.append(BookedAction(entry, leg, security, quantity, value, proceeds, realized))

    def _apply_transfer(self, entry: TransferEntry) -> None:
        if entry.security is None:
            attributes = ("accountTransfers", "assetTransfers")
            if entry.is_internal:
                attributes = ("internalTransfers", "internalCashTransfers")
            self._move(entry, entry.currency, entry.cash, attributes, "TRAN", f"TRANSFER {entry.counterpart}")
            self.transfers.append(BookedTransfer(entry, ZERO, ZERO))
            return
        security = entry.security
        held = self.lots.get(security.conid, ())
        if entry.is_incoming:
            self._hold(security, put_back(held, entry.lots))
        else:
            _, left = take(held, -entry.quantity)
            self._hold(security, left)
        price = self.market.price(security, entry.day)
        amount = security.value(entry.quantity, price)
        if security.is_settled_daily:
            amount = ZERO
        self._exchange(entry.day, security.currency, -amount)
        self.transfers.append(BookedTransfer(entry, price, amount))

    def close(self, day: date) -> DayClose:
        """Ends a day."""
        before = self.closes[-1] if self.closes else None
        self._settle_futures(day, before)
        rates = self.market.rates_of_day(self.base, day)
        values: dict[str, Decimal] = defaultdict(Decimal)
        for conid, lots in self.lots.items():
            security = self.securities[conid]
            if not security.is_settled_daily:
                value = security.value(total_quantity(lots), self.market.price(security, day))
                values[PARTS[security.asset_class]] += value * rates[security.currency]
        cash_translation = accrual_translation = ZERO
        value_before = ZERO
        if before is not None:
            change = {currency: rate - before.rates[currency] for currency, rate in rates.items()}
            cash_translation = sum((amount * change[currency] for currency, amount in before.cash.items()), ZERO)
            accrued = [(one.security.currency, one.net) for one in before.dividend_accruals]
            accrued += [(currency, amount) for (currency, _), amount in before.accrued_interest.items()]
            accrual_translation = sum((amount * change[currency] for currency, amount in accrued), ZERO)
            value_before = sum(before.values.values(), ZERO)
        closed = DayClose(
            day,
            dict(self.cash),
            dict(self.lots),
            tuple(self.dividend_accruals.values()),
            dict(self.accrued_interest),
            rates,
            dict(values),
            sum(values.values(), ZERO) - value_before + self._exchanged,
            cash_translation,
            accrual_translation,
        )
        self._exchanged = ZERO
        self.closes.append(closed)
        return closed

    def _settle_futures(self, day: date, before: DayClose | None) -> None:
        """Has the day's profit of the futures that were held overnight go to the cash."""
        if before is None:
            return
        for conid, lots in before.lots.items():
            security = self.securities[conid]
            if security.is_settled_daily:
                entry = Entry(account="", day=day, number=0)
                self._settle(entry, security, total_quantity(lots), self.market.price(security, before.day))
