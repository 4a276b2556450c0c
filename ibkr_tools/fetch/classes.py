"""What each of IBKR's asset classes counts as: one table. Pure.

The net liquidation value is cash, to which the profit and loss of futures is added as it comes, and the market value of
what is owned: stocks, options, bonds, funds (IBKR's user guide of TWS, "Account Balances" and "Market Value"). What is
only an obligation about something has a market value in IBKR's answers too, that of the whole contract; it is exposure.
"""

from enum import StrEnum

import msgspec

__all__ = ["CLASSES", "AssetClass", "Role", "class_of"]


class Role(StrEnum):
    """What a position counts as."""

    VALUE = "value"
    EXPOSURE = "exposure"
    CASH = "in cash"
    NOTHING = "not counted"
    UNKNOWN = "unknown class"


class AssetClass(msgspec.Struct, frozen=True):
    """One class: its role, and whether a contract's multiplier is in its cost and not in its price.

    `by_profit`: of an exposure, the unrealized profit and loss is value; that of the others is in the cash already.
    `is_fund`: it may be where cash is swept to; the ledger says whether it is in the cash balance.
    """

    name: str
    role: Role
    why: str
    is_multiplied: bool = False
    by_profit: bool = False
    is_fund: bool = False


_OWNED = "owned: its market value is part of the net liquidation value"
_SETTLED = "profit and loss are settled in cash every day, and the day's are in the cash balance"

CLASSES: dict[str, AssetClass] = {
    "STK": AssetClass("stocks", Role.VALUE, _OWNED),
    "OPT": AssetClass("options", Role.VALUE, _OWNED, is_multiplied=True),
    "FOP": AssetClass("options on futures", Role.VALUE, _OWNED, is_multiplied=True),
    "WAR": AssetClass("warrants", Role.VALUE, _OWNED, is_multiplied=True),
    "IOPT": AssetClass("structured products", Role.VALUE, _OWNED, is_multiplied=True),
    "BOND": AssetClass("bonds", Role.VALUE, _OWNED, is_multiplied=True),
    "BILL": AssetClass("bills", Role.VALUE, _OWNED, is_multiplied=True),
    "FUND": AssetClass("funds", Role.VALUE, _OWNED, is_fund=True),
    "CRYPTO": AssetClass("crypto", Role.VALUE, _OWNED),
    "CMDTY": AssetClass("metals", Role.VALUE, _OWNED),
    "PHYSS": AssetClass("physical metals", Role.VALUE, _OWNED),
    "FUT": AssetClass("futures", Role.EXPOSURE, _SETTLED, is_multiplied=True),
    "ICU": AssetClass("spreads of futures, US", Role.EXPOSURE, _SETTLED, is_multiplied=True),
    "ICS": AssetClass("spreads of futures", Role.EXPOSURE, _SETTLED, is_multiplied=True),
    "CFD": AssetClass(
        "contracts for difference",
        Role.EXPOSURE,
        "nothing is owned but what closing it would bring: its unrealized profit and loss",
        by_profit=True,
    ),
    "CASH": AssetClass("foreign exchange", Role.CASH, "both currencies are in the cash balances already"),
    "SWEEP": AssetClass("swept cash", Role.CASH, "as the ledger says: in the cash balance, or a fund", is_fund=True),
    "MMF": AssetClass("money market funds", Role.CASH, "as SWEEP", is_fund=True),
    "BAG": AssetClass("combinations", Role.NOTHING, "its legs are positions of their own", is_multiplied=True),
    "IND": AssetClass("indices", Role.NOTHING, "nothing can be owned of it"),
    "NEWS": AssetClass("news", Role.NOTHING, "nothing can be owned of it"),
    "SLB": AssetClass("lent and borrowed stocks", Role.NOTHING, "what is lent is still a position of its own"),
}
"""By IBKR's name, in capitals. PDC is unknown on purpose: nothing that IBKR publishes says what such a position is."""

UNKNOWN = AssetClass("", Role.UNKNOWN, "in no total until it is known what it is")


def class_of(name: str) -> AssetClass:
    """Returns what IBKR's name of a class stands for; it writes some in small letters too."""
    return CLASSES.get(name.upper(), UNKNOWN)
