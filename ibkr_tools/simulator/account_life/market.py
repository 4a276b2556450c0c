"""Prices, exchange rates, dividends and corporate actions of every day, the same ones for the same seed."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from random import Random

from ibkr_tools.simulator.account_life import statement_calendar
from ibkr_tools.simulator.account_life.corporate_actions import (
    ENDS,
    NEW_CONIDS,
    ActionKind,
    CorporateAction,
    plan_actions,
)
from ibkr_tools.simulator.account_life.securities import OptionTerms, Security, make_option, make_security

CURRENCIES = ("EUR", "USD", "GBP", "CHF", "JPY")
_REFERENCE_RATES = {"EUR": 1.0, "USD": 0.92, "GBP": 1.17, "CHF": 1.06, "JPY": 0.0061}
_KINDS = ("STK",) * 6 + ("ETF", "STK", "BOND", "FUND")
_SPREADS = {"BOND": 0.002, "FUND": 0.006, "ETF": 0.009, "FUT": 0.011}
_TICK = Decimal("0.0001")
_TICKS = 10_000
_LOWEST_TICKS = 500
_RATE_CONTEXT_DIGITS = 5
_RATIOS = {
    ActionKind.SPLIT: ("2", "3", "4"),
    ActionKind.REVERSE_SPLIT: ("0.1", "0.2"),
    ActionKind.STOCK_MERGER: ("0.5", "1.25", "0.8"),
    ActionKind.STOCK_DIVIDEND: ("1.05", "1.1"),
}
_FIRST_CONID, _CONIDS_OF_CHAIN = 20_000_000, 1_000
_OPTION_CONIDS = 700_000_000


@dataclass(frozen=True, slots=True)
class Dividend:
    """A dividend of one security; `per_share` in its currency. `tax_rate` is what is withheld, as a ratio."""

    security: Security
    ex_day: date
    pay_day: date
    per_share: Decimal
    tax_rate: Decimal
    action_id: int


@dataclass
class _Chain:
    """A security and those that it becomes: one path of prices, in ticks, from `first_day` on."""

    index: int
    rng: Random
    kind: str
    first_day: date
    start_ticks: int
    versions: list[tuple[date, Security]]
    planned: list[tuple[date, ActionKind]]
    parent: "tuple[_Chain, CorporateAction] | None" = None
    path: list[int] = field(default_factory=list)
    actions: dict[date, CorporateAction] = field(default_factory=dict)
    dividend_months: int = 0

    def security(self, day: date) -> Security:
        """Returns what it is called on a day."""
        return next(security for since, security in reversed(self.versions) if since <= day or since == self.first_day)

    @cached_property
    def last_day(self) -> date:
        """Returns the day on which it ends."""
        return next((day for day, kind in self.planned if kind in ENDS), date.max)


class Market:
    """Everything that is the same for all accounts. `size` is how many securities there are at first."""

    def __init__(self, seed: int, size: int, first_day: date) -> None:
        self.seed = seed
        self.first_day = statement_calendar.on_or_after(first_day)
        self._days = [self.first_day]
        self._numbers = {self.first_day: 0}
        self._chains: list[_Chain] = []
        self._by_conid: dict[int, _Chain] = {}
        self._rates: dict[str, tuple[Random, list[float]]] = {
            currency: (Random(f"{seed}:rate:{currency}"), [rate]) for currency, rate in _REFERENCE_RATES.items()
        }
        self._rate_cache: dict[tuple[str, str, int], Decimal] = {}
        self._rates_of_days: dict[tuple[str, int], dict[str, Decimal]] = {}
        self._dividends: dict[int, dict[date, list[Dividend]]] = {}
        self._securities: dict[int, Security] = {}
        for index in range(size):
            self._add_chain(index)

    def _add_chain(self, index: int) -> None:
        rng = Random(f"{self.seed}:security:{index}")
        kind = "STK" if index < len(ActionKind) else _KINDS[index % len(_KINDS)]
        currency = CURRENCIES[(index * 2 + self.seed) % 4] if kind == "STK" else rng.choice(CURRENCIES[:4])
        conid = _FIRST_CONID + index * _CONIDS_OF_CHAIN
        security = make_security(index, conid, currency, kind)
        start = 1_000_000 if kind == "BOND" else rng.randrange(80_000, 2_500_000)
        chain = _Chain(
            *(index, rng, kind, self.first_day, start, [(self.first_day, security)]),
            planned=plan_actions(rng, index, self.first_day) if kind == "STK" else [],
            dividend_months=0 if kind == "BOND" else rng.choice((0, 3, 3, 6, 12)),
        )
        self._register(chain)
        version = 0
        for day, action_kind in chain.planned:
            version += action_kind in NEW_CONIDS
            self._plan(chain, day, action_kind, version)

    def _register(self, chain: _Chain) -> None:
        self._chains.append(chain)
        for _, security in chain.versions:
            self._by_conid[security.conid] = chain
            self._securities[security.conid] = security

    def _plan(self, chain: _Chain, day: date, kind: ActionKind, version: int) -> None:
        old = chain.versions[-1][1]
        ratio = Decimal(chain.rng.choice(_RATIOS.get(kind, ("1",))))
        successor = None if kind in ENDS else old
        if kind in NEW_CONIDS:
            conid = _FIRST_CONID + chain.index * _CONIDS_OF_CHAIN + version
            successor = make_security(chain.index, conid, old.currency, chain.kind, version)
            chain.versions.append((day, successor))
            self._by_conid[conid] = chain
            self._securities[conid] = successor
        action_id = 150_000_000 + chain.index * _CONIDS_OF_CHAIN + len(chain.actions)
        action = CorporateAction(kind, day, old, action_id, successor, ratio)
        if kind is ActionKind.SPIN_OFF:
            conid = _FIRST_CONID + chain.index * _CONIDS_OF_CHAIN + 500 + version + len(chain.actions)
            child = replace(
                make_security(chain.index, conid, old.currency, chain.kind, 9),
                symbol=f"{old.symbol}S{len(chain.actions) or ''}",
            )
            action = replace(action, child=child, child_ratio=Decimal("0.5"), child_share=Decimal("0.2"))
            spun = _Chain(chain.index, Random(f"{self.seed}:child:{conid}"), chain.kind, day, 0, [(day, child)], [])
            spun.parent = (chain, action)
            self._register(spun)
        chain.actions[day] = action

    def _number(self, day: date) -> int:
        """Returns how many business days `day`, or the last one before it, is after the first one."""
        number = self._numbers.get(day)
        if number is not None:
            return number
        day = max(statement_calendar.on_or_before(day), self.first_day)
        while self._days[-1] < day:
            self._days.append(statement_calendar.after(self._days[-1]))
            self._numbers[self._days[-1]] = len(self._days) - 1
        return self._numbers[day]

    def rate(self, currency: str, base: str, day: date) -> Decimal:
        """Returns what one unit of a currency is in another one, with five significant digits."""
        if currency == base:
            return Decimal(1)
        number = self._number(day)
        key = (currency, base, number)
        if key not in self._rate_cache:
            quotient = self._reference(currency, number) / self._reference(base, number)
            self._rate_cache[key] = Decimal(f"{quotient:.{_RATE_CONTEXT_DIGITS}g}")
        return self._rate_cache[key]

    def rates_of_day(self, base: str, day: date) -> Mapping[str, Decimal]:
        """Returns what one unit of each currency is in another one."""
        key = (base, self._number(day))
        if key not in self._rates_of_days:
            self._rates_of_days[key] = {currency: self.rate(currency, base, day) for currency in CURRENCIES}
        return self._rates_of_days[key]

    def _reference(self, currency: str, number: int) -> float:
        rng, path = self._rates[currency]
        while len(path) <= number:
            step = 0.0 if currency == "EUR" else rng.gauss(0, 0.004)
            # Rates come back to where they were, so that years do not carry them away.
            drift = 0.002 * (_REFERENCE_RATES[currency] / path[-1] - 1)
            path.append(path[-1] * (1 + step + drift))
        return path[number]

    def price(self, security: Security, day: date) -> Decimal:
        """Returns the closing price of a day."""
        if security.option is not None:
            return self._option_price(security.option, security.expiry or day, day)
        chain = self._by_conid[security.conid]
        return _TICK * self._ticks(chain, self._number(day))

    def _ticks(self, chain: _Chain, number: int) -> int:
        first = self._number(chain.first_day)
        path = chain.path
        if number - first < len(path):
            return path[max(0, number - first)]
        if not path:
            start = chain.start_ticks
            if chain.parent is not None:
                parent, action = chain.parent
                of_parent = self._ticks(parent, first - 1)
                start = max(_LOWEST_TICKS, int(of_parent * action.child_share / action.child_ratio))
            path.append(start)
        spread = _SPREADS.get(chain.kind, 0.016)
        for at in range(first + len(path), number + 1):
            grown = path[-1] * (1 + chain.rng.gauss(0.0003, spread))
            if happens := chain.actions.get(self._days[at]):
                grown *= float(happens.price_factor)
            if chain.kind == "BOND":
                grown += (1_000_000 - grown) * 0.01
            path.append(max(_LOWEST_TICKS, int(grown)))
        return path[max(0, number - first)]

    def _option_price(self, terms: OptionTerms, expiry: date, day: date) -> Decimal:
        spot, strike = self.price(terms.underlying, day), terms.strike
        inner = max(Decimal(0), spot - strike if terms.right == "C" else strike - spot)
        days_left = max(0, (expiry - day).days)
        distance = abs(spot - strike) / strike
        time_value = spot * Decimal(days_left) / 1500 / (1 + 8 * distance)
        return (inner + time_value).quantize(_TICK)

    def option(self, underlying: Security, expiry: date, strike: Decimal, right: str) -> Security:
        """Returns an option, the same one each time."""
        conid = _OPTION_CONIDS + Random(f"{underlying.conid}:{expiry}:{strike}:{right}").randrange(90_000_000)
        if conid not in self._securities:
            self._securities[conid] = make_option(conid, underlying, expiry, strike, right)
        return self._securities[conid]

    def add_future(self, future: Security, since: date) -> None:
        """Has a future be traded from a day on; once is enough."""
        if future.conid not in self._by_conid:
            rng = Random(f"{self.seed}:future:{future.conid}")
            self._register(_Chain(0, rng, "FUT", since, rng.randrange(30_000_000, 60_000_000), [(since, future)], []))

    def listed(self, day: date, without_actions_for: int = 0) -> list[Security]:
        """Returns what can be bought on a day; maybe only what nothing will happen to for so many days."""
        until = day + timedelta(days=without_actions_for)
        return [
            chain.security(day)
            for chain in self._chains
            if chain.kind != "FUT"
            and chain.first_day <= day < chain.last_day
            and not any(day <= action_day <= until for action_day in chain.actions)
        ]

    def actions(self, day: date) -> Iterator[CorporateAction]:
        """Yields what happens on the morning of a day."""
        for chain in self._chains:
            action = chain.actions.get(day)
            if action is not None and action.kind is ActionKind.CASH_MERGER:
                price = self.price(action.security, statement_calendar.before(day))
                yield replace(action, cash=(price * Decimal("1.03")).quantize(Decimal("0.01")))
            elif action is not None:
                yield action

    def dividends(self, day: date) -> list[Dividend]:
        """Returns the dividends whose ex-day is this day."""
        if day.year not in self._dividends:
            found: dict[date, list[Dividend]] = defaultdict(list)
            for chain in self._chains:
                if chain.dividend_months:
                    self._find_dividends(chain, day.year, found)
            self._dividends[day.year] = found
        return self._dividends[day.year].get(day, [])

    def _find_dividends(self, chain: _Chain, year: int, found: dict[date, list[Dividend]]) -> None:
        for month in range(1 + chain.index % chain.dividend_months, 13, chain.dividend_months):
            rng = Random(f"{self.seed}:dividend:{chain.versions[0][1].conid}:{year}:{month}")
            ex_day = statement_calendar.on_or_after(date(year, month, rng.randrange(1, 29)))
            is_listed = chain.first_day < ex_day < chain.last_day
            if not is_listed or ex_day in chain.actions:
                continue
            security = chain.security(ex_day)
            yearly = Decimal(rng.randrange(10, 40)) / 1000
            price = self.price(security, statement_calendar.before(ex_day))
            per_share = (price * yearly * chain.dividend_months / 12).quantize(Decimal("0.000001"))
            pay_day = statement_calendar.after(ex_day, rng.randrange(3, 25))
            tax_rate = Decimal({"USD": "0.15", "CHF": "0.35", "EUR": "0.26375"}.get(security.currency, "0"))
            action_id = 160_000_000 + chain.index * _CONIDS_OF_CHAIN + (year % 80) * 12 + month
            found[ex_day].append(Dividend(security, ex_day, pay_day, per_share, tax_rate, action_id))
