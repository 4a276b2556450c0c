"""Positions as few accounts have them: every asset class, holes, marks and texts in the place of numbers.

What they are worth is told as IBKR would: balances are those of a portfolio that has them, and what nobody could know
from the row alone (a price that is not there, a currency without a rate) is in no balance.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ibkr_tools.simulator.instruments import Instrument
from ibkr_tools.simulator.json_encoding import FormattedFloat
from ibkr_tools.simulator.settings import Oddity
from ibkr_tools.simulator.simulated_accounts import Account, Row

__all__ = ["OddAccount", "shaped"]

FIRST_CONID = 900_000_001
DBL_MAX = FormattedFloat("1.7976931348623157E308")
INT_MAX = 2_147_483_647
NO_RATE = "TRY"
"""A currency that no ledger here has."""


@dataclass(frozen=True, slots=True)
class _Odd:
    """A position, and what its row has instead of what it should have; `is_worth`: balances know it."""

    item: Instrument
    changes: Mapping[str, Any] = field(default_factory=dict)
    is_worth: bool = True


def _item(asset_class: str, ticker: str, price: float = 20.0, quantity: float = 5.0, **changes: Any) -> Instrument:
    fields: dict[str, Any] = {
        "conid": 0, "ticker": ticker, "name": f"{ticker} SAMPLE", "asset_class": asset_class, "currency": "EUR",
        "sector": None, "group": None, "quantity": quantity, "price": price,
        "average_cost": price * 0.9 * (changes.get("multiplier") or 1.0), "realized": 0.0,
    }  # fmt: skip
    return Instrument(**fields | changes)


_CLASSES = (
    _Odd(_item("STK", "AAAA", 50.0)),
    _Odd(_item("OPT", "AAAA", 2.5, -2.0, multiplier=100.0, expiry="20270618", right="C", strike=60.0)),
    _Odd(_item("FUT", "IDXF", 15_000.0, 2.0, multiplier=25.0, expiry="20270618")),
    _Odd(_item("FOP", "IDXF", 120.0, 1.0, multiplier=25.0)),
    _Odd(_item("WAR", "WWWW", 1.5, 300.0, multiplier=1.0)),
    _Odd(_item("IOPT", "SSSS", 9.0, 20.0, multiplier=1.0)),
    _Odd(_item("BOND", "BBBB", 99.5, 30.0, multiplier=10.0)),
    _Odd(_item("BILL", "LLLL", 98.75, 10.0, multiplier=10.0)),
    _Odd(_item("FUND", "FFFF", 110.0, 12.5)),
    _Odd(_item("CFD", "CCCC", 80.0, 100.0)),
    _Odd(_item("CRYPTO", "XBT", 60_000.0, 0.015)),
    _Odd(_item("CMDTY", "XAUU", 3_000.0, 1.0)),
    _Odd(_item("PHYSS", "XAGG", 30.0, 10.0)),
    _Odd(_item("ICU", "IIII", 3.0, 4.0, multiplier=50.0)),
    _Odd(_item("ICS", "JJJJ", 2.0, 4.0, multiplier=50.0)),
    _Odd(_item("BAG", "AAAA", 4.0, 1.0, multiplier=100.0)),
    _Odd(_item("IND", "NNNN", 5_000.0, 1.0)),
    _Odd(_item("SLB", "AAAA", 50.0, -5.0)),
    _Odd(_item("PDC", "PPPP", 10.0, 1.0)),
)

ODDITIES: dict[Oddity, tuple[_Odd, ...]] = {
    "classes": _CLASSES,
    "money-fund": (_Odd(_item("FUND", "MMKT", 1.0, 2_500.0, average_cost=1.0)),),
    "sweep": (_Odd(_item("SWEEP", "CASHSWEEP", 1.0, 400.0, average_cost=1.0)),),
    "no-price": (
        _Odd(_item("STK", "HOLE"), {"mktPrice": None, "mktValue": None, "unrealizedPnl": None}, is_worth=False),
    ),
    "no-rate": (_Odd(_item("STK", "FARR", 33.0, 10.0, currency=NO_RATE), is_worth=False),),
    "marks": (
        _Odd(
            _item("STK", "MARK"),
            {"mktPrice": DBL_MAX, "mktValue": DBL_MAX, "unrealizedPnl": INT_MAX, "realizedPnl": FormattedFloat("-0.0")},
            is_worth=False,
        ),
        _Odd(_item("STK", "INFI"), {"mktPrice": "Infinity", "mktValue": "NaN", "avgPrice": "-0"}, is_worth=False),
    ),
    "texts": (
        _Odd(
            _item("STK", "TEXT", 10.0, 1_234.5),
            {"position": "1,234.5", "mktPrice": "C10.00", "mktValue": "12,345.00", "unrealizedPnl": "N/A"},
        ),
        _Odd(_item("STK", "COMM"), {"position": "12,34", "mktValue": "N/A"}, is_worth=False),
    ),
    "models": (
        _Odd(_item("STK", "MODL", 40.0, 3.0, conid=FIRST_CONID - 1), {"model": "Growth"}),
        _Odd(_item("STK", "MODL", 40.0, 7.0, conid=FIRST_CONID - 1), {"model": "Income"}),
    ),
    "entities": (_Odd(_item("STK", "AT&amp;T", 25.0, 8.0), {"name": "AT&amp;T &#x26; SONS"}),),
}
"""By the setting: what is held besides."""

_FRESH_NAMES = {"mktPrice": "marketPrice", "mktValue": "marketValue", "contractDesc": "description"}


def shaped(account: Account, oddities: Iterable[Oddity], base: str) -> Account:
    """Return the account with these positions besides, and with this base currency; itself if it is that already."""
    chosen = tuple(dict.fromkeys(oddities))
    if account.master == account.account_id:
        chosen = ()
    if not chosen and base == account.base:
        return account
    return account.variant((chosen, base), lambda: OddAccount(account, chosen, base))


class OddAccount(Account):
    """An account that holds more than contracts of the catalogue; only positions and balances know of it."""

    def __init__(self, plain: Account, oddities: tuple[Oddity, ...], base: str) -> None:
        """Take everything from the plain account."""
        super().__init__(
            plain.account_id, seed=plain.seed, count=plain.count, index=plain.index, paper=plain.paper,
            master=plain.master, base=base,
        )  # fmt: skip
        self._oddities = oddities

    @cached_property
    def _odd(self) -> dict[Instrument, _Odd]:
        wanted = [odd for name in self._oddities for odd in ODDITIES.get(name, ())]
        if "forex" in self._oddities:
            wanted += [
                _Odd(_item("CASH", f"{currency}.{self.base}", self.rates[currency], amount, currency=self.base))
                for currency, amount in self.cash.items()
                if currency != self.base
            ]
        return {
            item: _Odd(item, odd.changes, odd.is_worth)
            for number, odd in enumerate(wanted)
            for item in [odd.item if odd.item.conid else odd.item.numbered(FIRST_CONID + number)]
        }

    @cached_property
    def held(self) -> list[Instrument]:
        """What is held, the odd ones last."""
        return [*self.instruments, *self._odd]

    def is_worth(self, item: Instrument) -> bool:
        """Whether balances know what a position is worth."""
        return item not in self._odd or self._odd[item].is_worth

    def spoiled(self, item: Instrument, row: Row) -> Row:
        """Return the row with what it has instead of what it should have."""
        if item not in self._odd:
            return row
        changes = self._odd[item].changes
        return row | {
            key: value for name, value in changes.items() for key in (name, _FRESH_NAMES.get(name, name)) if key in row
        }
