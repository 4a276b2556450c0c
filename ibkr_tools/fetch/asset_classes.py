"""What each of IBKR's asset classes counts as: one table. Pure.

The net liquidation value is cash, to which the profit and loss of futures is added as it comes, and the market value of
what is owned: stocks, options, bonds, funds (IBKR's user guide of TWS, "Account Balances" and "Market Value"). What is
only an obligation about something has a market value in IBKR's answers too, that of the whole contract; it is exposure.
"""

from enum import StrEnum

import msgspec

__all__ = ["ASSET_CLASSES", "AssetClass", "PositionRole", "asset_class_of"]


class PositionRole(StrEnum):
    """What a position counts as."""

    VALUE = "value"
    EXPOSURE = "exposure"
    CASH = "in cash"
    NOTHING = "not counted"
    UNKNOWN = "unknown class"


class AssetClass(msgspec.Struct, frozen=True):
    """One class: its role, and whether a contract's multiplier is in its cost and not in its price.

    `valued_by_profit`: of an exposure, the unrealized profit and loss is value; else it is in the cash already.
    `is_fund`: it may be where cash is swept to; the ledger says whether it is in the cash balance.
    """

    name: str
    role: PositionRole
    reason: str
    is_multiplied: bool = False
    valued_by_profit: bool = False
    is_fund: bool = False


_OWNED_OUTRIGHT = "owned: its market value is part of the net liquidation value"
_SETTLED_DAILY = "profit and loss are settled in cash every day, and the day's are in the cash balance"

ASSET_CLASSES: dict[str, AssetClass] = {
    "STK": AssetClass("stocks", PositionRole.VALUE, _OWNED_OUTRIGHT),
    "OPT": AssetClass("options", PositionRole.VALUE, _OWNED_OUTRIGHT, is_multiplied=True),
    "FOP": AssetClass("options on futures", PositionRole.VALUE, _OWNED_OUTRIGHT, is_multiplied=True),
    "WAR": AssetClass("warrants", PositionRole.VALUE, _OWNED_OUTRIGHT, is_multiplied=True),
    "IOPT": AssetClass("structured products", PositionRole.VALUE, _OWNED_OUTRIGHT, is_multiplied=True),
    "BOND": AssetClass("bonds", PositionRole.VALUE, _OWNED_OUTRIGHT, is_multiplied=True),
    "BILL": AssetClass("bills", PositionRole.VALUE, _OWNED_OUTRIGHT, is_multiplied=True),
    "FUND": AssetClass("funds", PositionRole.VALUE, _OWNED_OUTRIGHT, is_fund=True),
    "CRYPTO": AssetClass("crypto", PositionRole.VALUE, _OWNED_OUTRIGHT),
    "CMDTY": AssetClass("metals", PositionRole.VALUE, _OWNED_OUTRIGHT),
    "PHYSS": AssetClass("physical metals", PositionRole.VALUE, _OWNED_OUTRIGHT),
    "FUT": AssetClass("futures", PositionRole.EXPOSURE, _SETTLED_DAILY, is_multiplied=True),
    "ICU": AssetClass("spreads of futures, US", PositionRole.EXPOSURE, _SETTLED_DAILY, is_multiplied=True),
    "ICS": AssetClass("spreads of futures", PositionRole.EXPOSURE, _SETTLED_DAILY, is_multiplied=True),
    "CFD": AssetClass(
        "contracts for difference",
        PositionRole.EXPOSURE,
        "nothing is owned but what closing it would bring: its unrealized profit and loss",
        valued_by_profit=True,
    ),
    "CASH": AssetClass("foreign exchange", PositionRole.CASH, "both currencies are in the cash balances already"),
    "SWEEP": AssetClass(
        "swept cash", PositionRole.CASH, "as the ledger says: in the cash balance, or a fund", is_fund=True
    ),
    "MMF": AssetClass("money market funds", PositionRole.CASH, "as SWEEP", is_fund=True),
    "BAG": AssetClass("combinations", PositionRole.NOTHING, "its legs are positions of their own", is_multiplied=True),
    "IND": AssetClass("indices", PositionRole.NOTHING, "nothing can be owned of it"),
    "NEWS": AssetClass("news", PositionRole.NOTHING, "nothing can be owned of it"),
    "SLB": AssetClass("lent and borrowed stocks", PositionRole.NOTHING, "what is lent is still a position of its own"),
}
"""By IBKR's name, in capitals. PDC is unknown on purpose: nothing that IBKR publishes says what such a position is."""

UNKNOWN_CLASS = AssetClass("", PositionRole.UNKNOWN, "in no total until it is known what it is")


def asset_class_of(name: str) -> AssetClass:
    """Returns what IBKR's name of a class stands for; it writes some in small letters too."""
    return ASSET_CLASSES.get(name.upper(), UNKNOWN_CLASS)
