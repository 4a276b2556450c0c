"""Every contract the simulated servers know: what is held, what it derives from, option chains, currency pairs.

The same seed gives the same contracts. Accounts hold contracts of this catalogue, so a conid means the same everywhere.
"""

import random
from dataclasses import dataclass, replace
from functools import cache, cached_property

from ibkr_tools.simulator.instruments import RATES, Instrument, make_instrument

__all__ = ["EXPIRIES", "MONTHS", "Catalogue", "Chain", "catalogue"]

EXPIRIES = ("20261218", "20270319", "20270618", "20270917")
MONTHS = dict(zip(("DEC26", "MAR27", "JUN27", "SEP27"), EXPIRIES, strict=True))
"""The months that options and futures are listed for, and the day they end."""

HELD_EXPIRY = 2
STRIKES_EACH_SIDE = 5
_STRIKES = 2 * STRIKES_EACH_SIDE + 1
_UNDERLYING = 20_000_000
_OPTION = 700_000_000
_FUTURE = 600_000_000
_PAIRS = {"USD": 12_087_792, "GBP": 12_087_807, "CHF": 12_087_802, "JPY": 14_321_016}
_WORLD = "U1234567"
"""Whose holdings the contracts were first made for; the numbers in the README are that account's."""


@dataclass(frozen=True)
class Chain:
    """What can be derived from one contract: options at `strikes`, or futures, for every month of MONTHS."""

    owner: Instrument
    index: int
    held: Instrument | None

    @property
    def kind(self) -> str:
        """`OPT` or `FUT`."""
        return "FUT" if self.owner.asset_class == "IND" else "OPT"

    @property
    def strikes(self) -> list[float]:
        """The strikes, the same for every month, rising."""
        middle = self.held.strike if self.held else float(max(5, round(self.owner.price)))
        step = max(0.5, round(middle / 10) / 2)
        return [strike for number in range(_STRIKES)
                if (strike := middle + step * (number - STRIKES_EACH_SIDE)) > 0]  # fmt: skip

    def option(self, expiry: str, strike: float, right: str) -> Instrument | None:
        """Return one option, the held one if it is that one."""
        if self.kind != "OPT" or expiry not in EXPIRIES or strike not in self.strikes or right not in ("C", "P"):
            return None
        held = self.held
        if held and (held.expiry, held.strike, held.right) == (expiry, strike, right):
            return held
        place = (EXPIRIES.index(expiry) * _STRIKES + self.strikes.index(strike)) * 2 + (right == "P")
        spot = self.owner.price
        inner = max(0.0, spot - strike if right == "C" else strike - spot)
        price = round(inner + spot * 0.02 * (1 + EXPIRIES.index(expiry)), 2)
        conid = _OPTION + self.index * len(EXPIRIES) * _STRIKES * 2 + place
        return _derived(self.owner, conid, "OPT", price, expiry, multiplier=100.0, right=right, strike=strike)

    def future(self, expiry: str) -> Instrument | None:
        """Return one future, the held one if it is that one."""
        if self.kind != "FUT" or expiry not in EXPIRIES:
            return None
        if self.held and self.held.expiry == expiry:
            return self.held
        place = EXPIRIES.index(expiry)
        price = round(self.owner.price * (1 + place / 200), 2)
        return _derived(self.owner, _FUTURE + self.index * len(EXPIRIES) + place, "FUT", price, expiry, multiplier=5.0)

    def all(self) -> list[Instrument]:
        """Return everything that is derived."""
        if self.kind == "FUT":
            return [item for expiry in EXPIRIES if (item := self.future(expiry))]
        return [item for expiry in EXPIRIES for strike in self.strikes for right in ("C", "P")
                if (item := self.option(expiry, strike, right))]  # fmt: skip

    @cached_property
    def by_conid(self) -> dict[int, Instrument]:
        """Everything that is derived, by its number."""
        return {item.conid: item for item in self.all()}


class Catalogue:
    """The contracts of one seed; it grows as accounts ask for more."""

    def __init__(self, seed: int) -> None:
        """Start with the currency pairs alone."""
        self._rng = random.Random(f"{seed}:{_WORLD}")
        self._instruments: list[Instrument] = []
        self._by_conid: dict[int, Instrument] = {}
        self._by_symbol: dict[str, list[Instrument]] = {}
        self._chains: dict[int, Chain] = {}
        self.pairs = [_pair(currency, conid) for currency, conid in _PAIRS.items()]
        for pair in self.pairs:
            self._list(pair, pair.ticker)

    def grow(self, count: int) -> list[Instrument]:
        """Have at least `count` contracts to be held; return all there are."""
        while len(self._instruments) < count:
            self._add(make_instrument(self._rng, len(self._instruments)))
        return self._instruments

    def contract(self, conid: int) -> Instrument | None:
        """Return the contract with this number."""
        known = self._by_conid.get(conid)
        if known is not None:
            return known
        for first, each in ((_OPTION, len(EXPIRIES) * _STRIKES * 2), (_FUTURE, len(EXPIRIES))):
            index = (conid - first) // each
            if 0 <= index < len(self._instruments):
                chain = self._chain_at(index)
                return chain.by_conid.get(conid) if chain else None
        return None

    def named(self, symbol: str) -> list[Instrument]:
        """Return the contracts with this symbol, those that can be searched for; derivatives are found by them."""
        return self._by_symbol.get(symbol.upper(), [])

    def chain(self, conid: int) -> Chain | None:
        """Return what is derived from the contract with this number, if anything is."""
        return self._chains.get(conid)

    def searchable(self) -> list[Instrument]:
        """Return everything that can be searched for, currency pairs last."""
        found = [one for listed in self._by_symbol.values() for one in listed]
        return [*found[len(self.pairs) :], *found[: len(self.pairs)]]

    def _add(self, item: Instrument) -> None:
        index = len(self._instruments)
        if item.asset_class not in ("OPT", "FUT"):
            self._instruments.append(item)
            self._list(item, item.ticker)
            if item.asset_class == "STK":
                self._chains[item.conid] = Chain(item, index, None)
            return
        owner = replace(
            item, conid=_UNDERLYING + item.conid, asset_class="STK" if item.asset_class == "OPT" else "IND",
            price=round(item.strike / 12 * 11 if item.asset_class == "OPT" else item.price * 0.99, 2), multiplier=None,
            expiry=None, right=None, strike=0.0, underlying=0, quantity=0.0, average_cost=0.0, realized=0.0,
        )  # fmt: skip
        held = replace(item, underlying=owner.conid)
        self._instruments.append(held)
        self._by_conid[held.conid] = held
        self._list(owner, owner.ticker)
        self._chains[owner.conid] = Chain(owner, index, held)

    def _list(self, item: Instrument, symbol: str) -> None:
        self._by_conid[item.conid] = item
        self._by_symbol.setdefault(symbol, []).append(item)

    def _chain_at(self, index: int) -> Chain | None:
        item = self._instruments[index]
        return self._chains.get(item.underlying or item.conid)


@cache
def catalogue(seed: int) -> Catalogue:
    """Return the contracts of a seed."""
    return Catalogue(seed)


def _pair(currency: str, conid: int) -> Instrument:
    rate = round(RATES["EUR"] / RATES[currency], 5)
    return Instrument(
        conid=conid, ticker=f"EUR.{currency}", name="European Monetary Union Euro", asset_class="CASH",
        currency=currency, sector=None, group=None, quantity=0.0, price=rate, average_cost=0.0, realized=0.0,
    )  # fmt: skip


def _derived(
    owner: Instrument, conid: int, asset_class: str, price: float, expiry: str, *, multiplier: float,
    right: str | None = None, strike: float = 0.0,
) -> Instrument:  # fmt: skip
    return replace(
        owner, conid=conid, asset_class=asset_class, price=price, multiplier=multiplier, expiry=expiry, right=right,
        strike=strike, underlying=owner.conid, sector=None, group=None, quantity=0.0, average_cost=0.0, realized=0.0,
    )  # fmt: skip
