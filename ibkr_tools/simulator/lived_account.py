"""An account of the simulator with a past: it holds at the end of a day what the ledger of its life has."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property

from ibkr_tools.simulator.account_life import statement_calendar
from ibkr_tools.simulator.account_life.known_values import flows
from ibkr_tools.simulator.account_life.ledger import Ledger
from ibkr_tools.simulator.account_life.life import LifeOptions
from ibkr_tools.simulator.account_life.lots import Lot, total_cost, total_quantity
from ibkr_tools.simulator.account_life.securities import Security
from ibkr_tools.simulator.account_life.statement_writer import LivedStatements
from ibkr_tools.simulator.instruments import Instrument
from ibkr_tools.simulator.json_encoding import FormattedFloat, fixed
from ibkr_tools.simulator.options import SimulatorOptions
from ibkr_tools.simulator.simulated_accounts import BASE_CURRENCY, Account

__all__ = ["LivedAccount", "life_source", "lived_accounts"]

_ZERO = Decimal(0)


class LivedAccount(Account):
    """What an account has at the end of `day`, as the Web API says it; statements of that day say the same."""

    def __init__(self, account_id: str, ledger: Ledger, day: date, *, seed: int, index: int = 0) -> None:
        closes = [closed for closed in ledger.closes if closed.day <= day]
        self._ledger = ledger
        self._close = closes[-1]
        self._totals = {closed.day: float(closed.total) for closed in closes}
        super().__init__(account_id, seed=seed, count=len(self._close.lots), index=index, base=ledger.base)

    @cached_property
    def instruments(self) -> list[Instrument]:
        """What is held."""
        return [self._instrument(self._ledger.securities[conid], lots) for conid, lots in self._close.lots.items()]

    def _instrument(self, security: Security, lots: tuple[Lot, ...]) -> Instrument:
        quantity = total_quantity(lots)
        multiplier = security.multiplier * security.price_unit
        return Instrument(
            conid=security.conid,
            ticker=security.symbol if security.option is None else security.option.underlying.symbol,
            name=security.description,
            asset_class=security.asset_class,
            currency=security.currency,
            sector=None,
            group=None,
            quantity=float(quantity),
            price=float(self._ledger.market.price(security, self._close.day)),
            average_cost=float(total_cost(lots) / quantity),
            realized=0.0,
            multiplier=None if multiplier == 1 else float(multiplier),
            expiry=f"{security.expiry:%Y%m%d}" if security.expiry else None,
            right=security.option.right if security.option else None,
            strike=float(security.option.strike) if security.option else 0.0,
            underlying=security.option.underlying.conid if security.option else 0,
        )

    @cached_property
    def rates(self) -> dict[str, float]:
        """Value of one unit of a currency in the account's base currency."""
        return {currency: float(rate) for currency, rate in self._close.rates.items()}

    @cached_property
    def cash(self) -> dict[str, float]:
        """Cash balance by currency."""
        return {currency: round(float(amount), 2) for currency, amount in self._close.cash.items() if amount}

    def interest_in(self, currency: str) -> FormattedFloat:
        """Return the accrued interest of one currency, in it."""
        due = [amount for (one, _), amount in self._close.accrued_interest.items() if one == currency]
        return fixed(float(sum(due, _ZERO)))

    def dividends_in(self, currency: str) -> float:
        """Return the dividends of one currency that are due, in it."""
        due = [one.net for one in self._close.dividend_accruals if one.security.currency == currency]
        return float(sum(due, _ZERO))

    def past_values(self, days: Sequence[date]) -> list[float]:
        """Return what the account was worth at the end of each of these days; on a holiday as before, at first 0."""
        known = sorted(self._totals)
        values = []
        for day in days:
            passed = [one for one in known if one <= day]
            values.append(self._totals[passed[-1]] if passed else 0.0)
        return values

    def past_flows(self, days: Sequence[date]) -> list[tuple[float, float]]:
        """Return what came in and what left (negative) since the day before each of these; nothing for the first."""
        found: dict[date, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for flow in flows(self._ledger):
            until = next((day for day in days if day >= flow.day), None)
            if until is not None and flow.day > days[0]:
                found[until][flow.amount < 0] += float(flow.amount)
        return [(found[day][0], found[day][1]) for day in days]


def _today(now: float) -> datetime:
    # Statements have no zone; the simulator's is UTC.
    return datetime.fromtimestamp(now, UTC).replace(tzinfo=None)


def life_source(options: SimulatorOptions, now: float) -> LivedStatements:
    """Return what makes the statements of the simulator's accounts; they have lived for `options.years`."""
    today = _today(now).date()
    first_day = date(today.year - options.years, 1, 2)
    return LivedStatements(
        LifeOptions(
            seed=options.seed,
            accounts=options.accounts,
            first_day=first_day,
            last_day=first_day,
            bases=(BASE_CURRENCY,),
            positions=options.positions,
        )
    )


def lived_accounts(options: SimulatorOptions, source: LivedStatements, now: float) -> list[Account]:
    """Return the simulator's accounts as they were at the end of the last day that statements can have."""
    day = statement_calendar.last_reported(_today(now))
    life = source.life(day)
    return [
        LivedAccount(account, life.books(account, _today(now)), day, seed=options.seed, index=index)
        for index, account in enumerate(options.accounts)
    ]
