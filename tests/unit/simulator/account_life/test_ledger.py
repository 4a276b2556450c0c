"""The ledger, in figures that were worked out by hand."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from ibkr_tools.simulator.account_life import known_values
from ibkr_tools.simulator.account_life.corporate_actions import ActionKind, CorporateAction
from ibkr_tools.simulator.account_life.entries import (
    ActionEntry,
    CashEntry,
    CashKind,
    CurrencyTradeEntry,
    TradeEntry,
    TransferEntry,
)
from ibkr_tools.simulator.account_life.ledger import Ledger
from ibkr_tools.simulator.account_life.lots import Lot
from ibkr_tools.simulator.account_life.market import Market
from ibkr_tools.simulator.account_life.securities import Security, make_future, make_option, make_security

D = Decimal
MONDAY, TUESDAY, WEDNESDAY = date(2024, 1, 8), date(2024, 1, 9), date(2024, 1, 10)
NOON = datetime.fromisoformat("2024-01-08T12:00")

SHARE = make_security(1, 100, "EUR", "STK")
OTHER = make_security(2, 200, "EUR", "STK")
PUT = make_option(300, SHARE, TUESDAY, D(10), "P")
CALL = make_option(301, SHARE, TUESDAY, D(10), "C")
FUTURE = make_future(400, "USD", date(2024, 3, 15))


class FixedMarket(Market):
    """A market with prices and rates that a test says; what it does not say is 10, and a rate of 1."""

    def __init__(self, prices: dict[tuple[int, date], str], rates: dict[tuple[str, date], str]) -> None:
        super().__init__(0, 0, MONDAY)
        self.prices, self.rates = prices, rates

    def price(self, security: Security, day: date) -> D:
        return D(self.prices.get((security.conid, day), "10"))

    def rate(self, currency: str, base: str, day: date) -> D:
        return D(1) if currency == base else D(self.rates.get((currency, day), "1"))


class Books:
    """A ledger, with short names for what is booked."""

    def __init__(self, prices: dict[tuple[int, date], str] | None = None, **rates: Any) -> None:
        self.ledger = Ledger(FixedMarket(prices or {}, rates.get("rates", {})), "EUR")
        self.number = 0

    def _head(self, day: date) -> dict[str, Any]:
        self.number += 1
        return {"account": "U1", "day": day, "number": self.number, "at": datetime.combine(day, NOON.time())}

    def cash(self, day: date, amount: str, currency: str = "EUR", kind: CashKind = CashKind.DEPOSIT) -> None:
        more: dict[str, Any] = {
            "kind": kind,
            "currency": currency,
            "amount": D(amount),
            "description": "",
            "settle_day": day,
        }
        self.ledger.apply(CashEntry(**self._head(day), **more))

    def trade(self, day: date, quantity: str, price: str, security: Security = SHARE, **more: Any) -> TradeEntry:
        own: dict[str, Any] = {
            "security": security,
            "quantity": D(quantity),
            "price": D(price),
            "settle_day": day,
            "trade_id": 7,
        }
        entry = TradeEntry(**self._head(day), **own, **more)
        self.ledger.apply(entry)
        return entry

    def act(self, day: date, kind: ActionKind, **more: Any) -> None:
        self.ledger.apply(ActionEntry(**self._head(day), action=CorporateAction(kind, day, SHARE, 1, **more)))

    def lots(self, security: Security = SHARE) -> list[tuple[D, D]]:
        return [(lot.quantity, lot.cost) for lot in self.ledger.lots.get(security.conid, ())]

    @property
    def realized(self) -> dict[int, D]:
        return {conid: amount for conid, amount in known_values.realized(self.ledger).items() if amount}


def test_what_was_bought_first_is_sold_first() -> None:
    """Commissions and taxes are in the cost and the profit."""
    books = Books()
    books.trade(MONDAY, "10", "5", commission=D(-1), taxes=D("-0.25"))
    books.trade(MONDAY, "10", "6", commission=D(-1))
    books.trade(TUESDAY, "-15", "8", commission=D(-3))
    # 120 - 3 for the first ten, that cost 51.25, and half of the others, that cost 61.
    assert books.realized == {100: D("35.25")}
    assert books.lots() == [(D(5), D("30.5"))]
    assert books.ledger.cash == {"EUR": D("4.75")}


def test_a_sale_of_more_than_there_is_goes_short() -> None:
    books = Books()
    books.trade(MONDAY, "10", "5")
    books.trade(TUESDAY, "-15", "8", commission=D(-3))
    assert books.realized == {100: D(28)}
    assert books.lots() == [(D(-5), D(-39))]
    books.trade(WEDNESDAY, "5", "7")
    assert books.realized == {100: D(32)}
    assert books.lots() == []


@pytest.mark.parametrize("quantity", ["10", "-10"])
def test_a_cancelled_trade_leaves_nothing(quantity: str) -> None:
    books = Books()
    books.trade(MONDAY, "30", "5", commission=D(-1))
    before = books.lots(), dict(books.ledger.cash)
    wrong = books.trade(TUESDAY, quantity, "6", commission=D(-2))
    assert books.lots() != before[0]
    books.trade(WEDNESDAY, str(-D(quantity)), "6", commission=D(2), kind="TradeCancel", original=wrong)
    assert (books.lots(), books.ledger.cash) == before
    assert books.realized == {}


def test_what_a_trade_opened_must_be_there_to_be_cancelled() -> None:
    books = Books()
    wrong = books.trade(MONDAY, "10", "6")
    books.trade(TUESDAY, "-5", "6")
    with pytest.raises(ValueError, match="not there any more"):
        books.trade(WEDNESDAY, "-10", "6", kind="TradeCancel", original=wrong)


@pytest.mark.parametrize(
    ("kind", "more", "share", "other", "realized"),
    [
        (ActionKind.SPLIT, {"successor": SHARE, "ratio": D(3)}, [(D(30), D(50))], [], {}),
        (ActionKind.STOCK_MERGER, {"successor": OTHER, "ratio": D("0.5")}, [], [(D(5), D(50))], {}),
        (ActionKind.NEW_NUMBER, {"successor": OTHER}, [], [(D(10), D(50))], {}),
        (ActionKind.CASH_MERGER, {"cash": D("7.5")}, [], [], {100: D(25)}),
        (ActionKind.WORTHLESS, {}, [], [], {100: D(-50)}),
        (
            ActionKind.SPIN_OFF,
            {"successor": SHARE, "child": OTHER, "child_ratio": D("0.5"), "child_share": D("0.2")},
            [(D(10), D(40))],
            [(D(5), D(10))],
            {},
        ),
    ],
)
def test_corporate_actions_carry_the_cost(
    kind: ActionKind,
    more: dict[str, Any],
    share: list[tuple[D, D]],
    other: list[tuple[D, D]],
    realized: dict[int, D],
) -> None:
    books = Books()
    books.trade(MONDAY, "10", "5")
    books.act(TUESDAY, kind, **more)
    assert (books.lots(), books.lots(OTHER), books.realized) == (share, other, realized)
    assert books.ledger.cash == {"EUR": D(-50) + (D(75) if kind is ActionKind.CASH_MERGER else D(0))}


@pytest.mark.parametrize(
    ("option", "sold", "name", "shares", "cost"),
    [
        # Written for 200 less a commission of 1: the shares cost so much less.
        (PUT, "-1", "Assignment", "100", "801"),
        (CALL, "1", "Exercise", "100", "1201"),
    ],
)
def test_an_option_passes_its_cost_on(option: Security, sold: str, name: str, shares: str, cost: str) -> None:
    books = Books()
    books.trade(MONDAY, sold, "2", security=option, commission=D(-1))
    carried = books.lots(option)[0][1]
    books.trade(TUESDAY, str(-D(sold)), "0", security=option, exercise=name)
    books.trade(TUESDAY, shares, "10", carried=carried, exercise=name)
    assert books.realized == {}
    assert books.lots() == [(D(shares), D(cost))]


def test_an_option_that_expires_is_a_profit_or_a_loss() -> None:
    books = Books()
    books.trade(MONDAY, "-1", "2", security=PUT, commission=D(-1))
    books.trade(TUESDAY, "1", "0", security=PUT, exercise="Expiration")
    assert books.realized == {300: D(199)}


def test_a_future_is_settled_each_day() -> None:
    """It is worth nothing; what it has brought is in the cash."""
    books = Books({(400, MONDAY): "101", (400, TUESDAY): "99", (400, WEDNESDAY): "103"})
    books.trade(MONDAY, "2", "100", security=FUTURE, commission=D(-1))
    assert [books.ledger.close(day).cash["USD"] for day in (MONDAY, TUESDAY)] == [D(9), D(-11)]
    books.trade(WEDNESDAY, "-2", "104", security=FUTURE, commission=D(-1))
    closed = books.ledger.close(WEDNESDAY)
    assert (closed.cash["USD"], closed.values) == (D(38), {})
    assert books.realized == {400: D(38)}


def test_a_day_says_what_its_rates_have_done() -> None:
    """100 USD in cash and 10 shares for 10 EUR: the dollar rises from 0.9 to 0.95, the share from 10 to 12."""
    books = Books({(100, MONDAY): "10", (100, TUESDAY): "12"}, rates={("USD", MONDAY): "0.9", ("USD", TUESDAY): "0.95"})
    books.cash(MONDAY, "100", "USD")
    books.trade(MONDAY, "10", "10", commission=D(-2))
    assert books.ledger.close(MONDAY).total == D(88)
    closed = books.ledger.close(TUESDAY)
    assert (closed.total, closed.market_profit, closed.cash_translation) == (D(113), D(20), D(5))


def test_a_trade_of_currencies_moves_both() -> None:
    books = Books()
    more: dict[str, Any] = {
        "quantity": D(100),
        "price": D("1.1"),
        "trade_id": 1,
        "commission": D(-2),
        "commission_currency": "EUR",
    }
    books.ledger.apply(CurrencyTradeEntry(**books._head(MONDAY), currency="EUR", other="USD", **more))
    assert books.ledger.cash == {"EUR": D(98), "USD": D(-110)}


@pytest.mark.parametrize("quantity", ["4", "-4"])
def test_positions_are_transferred_with_their_lots(quantity: str) -> None:
    """What was sold short too."""
    books = Books()
    lot = Lot(D(quantity), D(quantity) * 3, NOON, 99)
    incoming: dict[str, Any] = {"kind": "ACATS", "counterpart": "X", "security": SHARE, "lots": (lot,)}
    books.ledger.apply(TransferEntry(**books._head(MONDAY), **incoming, quantity=D(quantity)))
    assert books.ledger.close(MONDAY).total == D(quantity) * 10
    assert [flow.amount for flow in known_values.flows(books.ledger)] == [D(quantity) * 10]
    books.ledger.apply(TransferEntry(**books._head(TUESDAY), **incoming, quantity=-D(quantity)))
    closed = books.ledger.close(TUESDAY)
    assert (closed.total, closed.lots, closed.market_profit) == (D(0), {}, D(0))


def test_a_deposit_is_there_from_the_morning_and_a_withdrawal_until_the_evening() -> None:
    """1,000 grow to 1,110 with 100 that came: 0.909 %; 1,110 to 1,010 with 200 that left: 9.009 %."""
    books = Books()
    books.cash(MONDAY, "1000")
    books.ledger.close(MONDAY)
    books.cash(TUESDAY, "100")
    books.cash(TUESDAY, "10", kind=CashKind.OTHER_INCOME)
    books.ledger.close(TUESDAY)
    books.cash(WEDNESDAY, "-200")
    books.cash(WEDNESDAY, "100", kind=CashKind.OTHER_INCOME)
    books.ledger.close(WEDNESDAY)
    earned = [float(ratio) for _, ratio in known_values.daily_returns(books.ledger, TUESDAY, WEDNESDAY)]
    assert earned == pytest.approx([0.0090909, 0.0900901], abs=1e-7)
    whole = known_values.time_weighted_return(books.ledger, TUESDAY, WEDNESDAY)
    assert float(whole) == pytest.approx(1110 / 1100 * 1210 / 1110 - 1)


@pytest.mark.parametrize(("income", "rate"), [("100", 0.1), ("-100", -0.1), ("0", 0.0)])
def test_the_money_weighted_rate_is_that_of_a_year(income: str, rate: float) -> None:
    books = Books()
    books.cash(MONDAY, "1000")
    books.ledger.close(MONDAY)
    year_later = date(2025, 1, 7)
    books.cash(year_later, income, kind=CashKind.OTHER_INCOME)
    books.ledger.close(year_later)
    assert known_values.money_weighted_rate(books.ledger, TUESDAY, year_later) == pytest.approx(rate)


def test_there_may_be_no_money_weighted_rate() -> None:
    """Nothing was invested, or all of it is lost."""
    books = Books()
    books.ledger.close(MONDAY)
    assert known_values.money_weighted_rate(books.ledger, MONDAY, MONDAY) is None
    books.cash(TUESDAY, "1000")
    books.ledger.close(TUESDAY)
    books.cash(WEDNESDAY, "-1000", kind=CashKind.OTHER_FEE)
    books.ledger.close(WEDNESDAY)
    assert known_values.money_weighted_rate(books.ledger, WEDNESDAY, WEDNESDAY) is None
