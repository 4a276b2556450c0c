"""What the customer trades: securities, currencies, options, a future; and trades that are cancelled."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from ibkr_tools.simulator.account_life import statement_calendar
from ibkr_tools.simulator.account_life.booked import BookedTrade
from ibkr_tools.simulator.account_life.entries import CashKind, CurrencyTradeEntry, TradeEntry
from ibkr_tools.simulator.account_life.journal import CENT, ZERO, Journal
from ibkr_tools.simulator.account_life.lots import total_quantity
from ibkr_tools.simulator.account_life.securities import Security, make_future

_SHARE_STEP, _COMMISSION_STEP = Decimal("0.0001"), Decimal("0.0001")
_QUIET_DAYS = 130
"""Options are only traded of what nothing happens to for so many days."""

_FUTURE_CONIDS = 500_000_000


def trade(
    journal: Journal, security: Security, quantity: Decimal, *, notes: str = "", price: Decimal | None = None
) -> TradeEntry:
    """Writes a trade near the closing price, with its commission and taxes, and returns it."""
    rng = journal.rng
    if price is None:
        closing = journal.market.price(security, journal.day)
        price = (closing * Decimal(rng.randrange(9_900, 10_100)) / 10_000).quantize(CENT) or CENT
    at = journal.clock()
    is_option = security.asset_class in {"OPT", "FUT"}
    traded = abs(security.value(quantity, price))
    commission = abs(quantity) * Decimal("0.85") if is_option else max(Decimal(1), traded * Decimal("0.0005"))
    stamp_duty = security.currency == "GBP" and quantity > 0 and security.asset_class == "STK"
    entry = TradeEntry(
        account=journal.account,
        day=journal.day,
        number=journal.next_number(),
        security=security,
        quantity=quantity,
        price=price,
        at=at,
        settle_day=statement_calendar.after(journal.day, 1 if security.currency == "USD" else 2),
        trade_id=journal.next_number(),
        order_id=journal.next_number(),
        commission=-commission.quantize(_COMMISSION_STEP),
        taxes=-(traded * Decimal("0.005")).quantize(CENT) if stamp_duty else ZERO,
        notes=notes,
    )
    # Of some trades IBKR changes the commission weeks later.
    if security.asset_class == "STK" and rng.random() < 0.03:
        journal.book_corrected(entry, replace(entry, commission=entry.commission * 2))
    else:
        journal.book(entry)
    if security.asset_class == "BOND":
        _accrued_coupon(journal, security, quantity)
    return entry


def _accrued_coupon(journal: Journal, bond: Security, quantity: Decimal) -> None:
    """Has the buyer pay the seller what is due of the next coupon."""
    year, day = journal.day.year, journal.day
    last = max(coupon for coupon in (date(year - 1, 9, 15), date(year, 3, 15), date(year, 9, 15)) if coupon <= day)
    amount = -quantity * bond.coupon / 100 * (day - last).days / 360
    kind = CashKind.ACCRUED_COUPON if quantity > 0 else CashKind.COUPON
    if amount.quantize(CENT):
        text = f"{'PURCHASE' if quantity > 0 else 'SALE'} ACCRUED INT {bond.symbol}"
        journal.book(journal.cash(kind, bond.currency, amount, text, security=bond))


def buy_for(journal: Journal, security: Security, amount_in_base: Decimal, *, is_recurring: bool = False) -> None:
    """Buys for about so much; a recurring investment buys fractions of a share."""
    rate = journal.market.rate(security.currency, journal.base, journal.day)
    unit = security.value(Decimal(1), journal.market.price(security, journal.day)) * rate
    quantity = amount_in_base / unit
    if security.asset_class == "BOND":
        quantity = quantity // 1000 * 1000
    else:
        is_whole = not is_recurring and journal.rng.random() < 0.7
        quantity = quantity // 1 if is_whole else quantity.quantize(_SHARE_STEP)
    if quantity > 0:
        trade(journal, security, quantity, notes="RI" if is_recurring else "")


def buy_first_portfolio(journal: Journal, positions: int) -> None:
    """In the first weeks, buys three things a day until there are so many."""
    listed = journal.market.listed(journal.day)
    held = set(journal.ledger.lots)
    wanted = [security for security in listed if security.conid not in held]
    amount = journal.value / max(positions, 1) * Decimal("0.8")
    for security in wanted[: min(3, positions - len(held))]:
        buy_for(journal, security, amount)


def buy_and_sell(journal: Journal, positions: int) -> None:
    """Does what the customer feels like: buys more, sells a part or all, invests what he does each month."""
    rng = journal.rng
    if rng.random() < 0.25:
        listed = journal.market.listed(journal.day)
        held = journal.held("STK", "FUND", "BOND")
        may_be_new = len(held) < positions
        chosen = rng.choice(listed if may_be_new else held or listed)
        if journal.cash_in_base > journal.value / 50 and journal.ledger.quantity(chosen) >= 0:
            buy_for(journal, chosen, min(journal.cash_in_base / 4, journal.value / 25))
    if rng.random() < 0.15:
        long = [one for one in journal.held("STK", "FUND", "BOND") if journal.ledger.quantity(one) > 0]
        if long:
            security = rng.choice(long)
            quantity = journal.ledger.quantity(security)
            part = quantity if rng.random() < 0.3 or security.asset_class == "BOND" else (quantity / 3) // 1
            if part > 0 and not _covers_a_call(journal, security):
                trade(journal, security, -part)
    if journal.day.day <= 7 and journal.day.weekday() == 2:
        funds = [one for one in journal.held("STK") if one.sub_category == "ETF"] or journal.held("STK")[:1]
        if funds and journal.cash_in_base > 500:
            buy_for(journal, funds[0], Decimal(200), is_recurring=True)


def _covers_a_call(journal: Journal, security: Security) -> bool:
    return any(option.underlying == security for option in journal.held("OPT"))


def change_currencies(journal: Journal) -> None:
    """Now and then, and where there is a debt, buys one currency for another."""
    ledger, rng, market = journal.ledger, journal.rng, journal.market
    debts = [one for one, amount in sorted(ledger.cash.items()) if amount < -200 and one != journal.base]
    if debts and rng.random() < 0.3:
        needed, paid = debts[0], journal.base
        amount = -ledger.cash[needed]
    elif ledger.cash.get(journal.base, ZERO) < -2_000 and rng.random() < 0.2:
        paid = max(ledger.cash, key=lambda one: ledger.cash[one] * market.rate(one, journal.base, journal.day))
        needed, amount = journal.base, -ledger.cash[journal.base]
        if ledger.cash[paid] <= 0:
            return
    elif rng.random() < 0.03:
        needed, paid = rng.choice([one for one in ("EUR", "USD", "GBP", "CHF") if one != journal.base]), journal.base
        amount = Decimal(rng.randrange(100, 2_000))
    else:
        return
    # Pairs are named in a fixed order: EUR.USD, never USD.EUR.
    order = ("EUR", "GBP", "USD", "CHF", "JPY")
    first, second = sorted((needed, paid), key=order.index)
    price = market.rate(first, second, journal.day) * Decimal(rng.randrange(9_990, 10_010)) / 10_000
    price = price.quantize(Decimal("0.00001"))
    quantity = (amount if first == needed else -amount / price).quantize(CENT)
    journal.book(
        CurrencyTradeEntry(
            account=journal.account,
            day=journal.day,
            number=journal.next_number(),
            currency=first,
            other=second,
            quantity=quantity,
            price=price,
            at=journal.clock(),
            trade_id=journal.next_number(),
            commission=Decimal("-1.8273"),
            commission_currency=journal.base,
            notes="AFx" if rng.random() < 0.2 else "",
        )
    )


def trade_options(journal: Journal, turn: int) -> None:
    """Writes a put, buys a call, or writes a call on a hundred shares; `turn` says which."""
    quiet = [
        security
        for security in journal.market.listed(journal.day, _QUIET_DAYS)
        if security.asset_class == "STK"
        and not _covers_a_call(journal, security)
        and journal.market.price(security, journal.day) * 100 * journal.market.rate(
            security.currency, journal.base, journal.day
        ) < journal.value / 8
    ]  # fmt: skip
    if not quiet:
        return
    underlying = journal.rng.choice(quiet)
    spot = journal.market.price(underlying, journal.day)
    month = journal.day.replace(day=1) + timedelta(days=62)
    expiry = statement_calendar.on_or_before(statement_calendar.third_friday(month.year, month.month))
    strike = max(Decimal("0.5"), (spot * Decimal(journal.rng.randrange(93, 108)) / 50).quantize(Decimal(1)) / 2)
    if turn % 3 == 2 and journal.ledger.quantity(underlying) < 100:
        trade(journal, underlying, Decimal(100))
    right, quantity = (("P", Decimal(-1)), ("C", Decimal(1)), ("C", Decimal(-1)))[turn % 3]
    trade(journal, journal.market.option(underlying, expiry, strike, right), quantity)


def trade_future(journal: Journal) -> None:
    """Buys a future, or sells the one that is held."""
    held = journal.held("FUT")
    if held:
        trade(journal, held[0], -journal.ledger.quantity(held[0]))
        return
    month = journal.day.replace(day=1) + timedelta(days=100)
    expiry = statement_calendar.third_friday(month.year, month.month)
    future = make_future(_FUTURE_CONIDS + expiry.year * 12 + expiry.month, "USD", expiry)
    journal.market.add_future(future, journal.market.first_day)
    trade(journal, future, Decimal(1))


def cancel_a_trade(journal: Journal) -> None:
    """Takes a trade of the last days back, and books it anew at another price with the same trade number."""
    since = journal.day - timedelta(days=5)
    for booked in reversed(journal.ledger.trades[-20:]):
        if isinstance(booked, BookedTrade) and since <= booked.entry.day < journal.day and _may_be_cancelled(
            journal, booked
        ):  # fmt: skip
            _cancel(journal, booked.entry)
            return


def _may_be_cancelled(journal: Journal, booked: BookedTrade) -> bool:
    """Returns whether a trade is plain, and nothing has happened to its security since."""
    entry = booked.entry
    if entry.kind != "ExchTrade" or entry.security.asset_class != "STK" or entry.known_until is not None:
        return False
    later = [
        one
        for one in journal.entries
        if one.day >= entry.day and one.number != entry.number and getattr(one, "security", None) == entry.security
    ]
    has_option = _covers_a_call(journal, entry.security)
    opened = total_quantity(
        [lot for lot in journal.ledger.lots.get(entry.security.conid, ()) if lot.number == entry.number]
    )
    is_whole = opened == entry.quantity or not booked.is_opening
    return not later and not has_option and is_whole and _nothing_happened(journal, entry)


def _nothing_happened(journal: Journal, entry: TradeEntry) -> bool:
    calm = journal.market.listed(entry.day, (journal.day - entry.day).days + 1)
    return entry.security in calm


def _cancel(journal: Journal, entry: TradeEntry) -> None:
    at = datetime.combine(journal.day, time(9, 0))
    cancelled = replace(
        entry,
        account=journal.account,
        day=journal.day,
        number=journal.next_number(),
        quantity=-entry.quantity,
        commission=-entry.commission,
        taxes=-entry.taxes,
        kind="TradeCancel",
        notes="Ca",
        original=entry,
        at=at,
    )
    journal.book(cancelled)
    again = replace(
        entry,
        account=journal.account,
        day=journal.day,
        number=journal.next_number(),
        price=(entry.price * Decimal("1.01")).quantize(CENT),
        notes="Co" if not entry.notes else f"{entry.notes};Co",
    )
    journal.book(again)
