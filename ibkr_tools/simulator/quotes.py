"""Prices of the simulated contracts: quotes by field number and bars of the past.

The last price is the one that positions are valued at; everything else follows from the contract's number.
Source: docs/reference/market-data-answers.md.
"""

import random
import re
from datetime import UTC, datetime

from ibkr_tools.simulator.instruments import EXCHANGES, Instrument
from ibkr_tools.simulator.json_encoding import FormattedFloat, fixed
from ibkr_tools.simulator.simulated_accounts import Account, Row

__all__ = ["MOST_POINTS", "bars", "history", "quote", "seconds_of"]

MOST_POINTS = 1000
BARS = ("1min", "2min", "3min", "5min", "10min", "15min", "30min", "1h", "2h", "3h", "4h", "8h", "1d", "1w", "1m")
_UNITS = {"min": 60, "h": 3600, "d": 86_400, "w": 604_800, "m": 2_592_000, "y": 31_536_000}
_MOST = {"min": 30, "h": 8, "d": 1000, "w": 792, "m": 182, "y": 15}


def quote(item: Instrument, account: Account, fields: list[str]) -> Row:
    """Return the asked-for fields of one contract, those that there are; the position is that of `account`."""
    rng = random.Random(f"quote:{item.conid}")
    last, spread = item.price, item.price * 0.0005
    change, digits = round(last * rng.uniform(-0.03, 0.03), 2), _digits(item)
    volume = rng.randrange(1_000, 90_000_000)
    prefix = "C" if item.conid % 11 == 0 else "H" if item.conid % 17 == 0 else ""
    exchange = EXCHANGES.get(item.currency, "SMART")
    prices = {"70": last * 1.01, "71": last * 0.985, "84": last - spread, "86": last + spread, "7293": last * 1.3,
              "7294": last * 0.7, "7295": last * 0.995, "7296": last - change, "7635": last,
              "7741": last - change}  # fmt: skip
    known: Row = {field: f"{price:.{digits}f}" for field, price in prices.items()}
    known |= {
        "31": f"{prefix}{last:.{digits}f}", "55": item.ticker, "58": item.name, "82": f"{change:+.{digits}f}",
        "83": fixed(change / last * 100), "85": str(rng.randrange(1, 900)),
        "87": f"{volume / 1_000_000:.1f}M" if volume > 1_000_000 else f"{volume / 1000:.1f}K",
        "88": str(rng.randrange(1, 900)), "6004": exchange, "6008": str(item.conid), "6070": item.asset_class,
        "6072": "", "6073": item.expiry or "", "6457": str(item.underlying), "6508": "&serviceID1=122",
        "7051": item.name, "7057": exchange, "7058": exchange, "7059": "100", "7068": exchange,
        "7094": f"{item.conid}@{exchange}", "7184": "1", "7219": item.description, "7220": item.description,
        "7221": exchange, "7280": item.sector or "", "7281": item.group or "", "7282": f"{volume / 900_000:.1f}M",
        "7283": "24.5%", "7644": "3.0", "7762": str(volume), "7768": "1",
        "201": {"C": "CALL", "P": "PUT"}.get(item.right or "", "?"),
    }  # fmt: skip
    known |= {"87_raw": FormattedFloat(f"{volume}.0"), "7282_raw": FormattedFloat(f"{volume * 10 // 9}.0")}
    if item.asset_class == "OPT":
        known |= {"7308": f"{0.5 if item.right == 'C' else -0.5:.3f}", "7309": "0.012", "7310": "-0.041",
                  "7311": "0.22", "7633": "27.1%", "7638": str(rng.randrange(9_000))}  # fmt: skip
    held = account.by_conid.get(item.conid)
    if held is not None and held.quantity:
        unrealized = held.unrealized / (held.quantity * held.average_cost or 1.0)
        known |= {
            "73": f"{held.market_value:.2f}", "74": f"{held.average_cost / (held.multiplier or 1.0):.2f}",
            "75": f"{held.unrealized:.2f}", "76": f"{held.quantity:,g}", "77": f"{held.unrealized:,.0f}",
            "78": f"{held.quantity * change:.2f}", "78_raw": round(held.quantity * change, 4),
            "79": f"{held.realized:.2f}", "80": f"{unrealized * 100:.2f}%", "7292": f"{held.average_cost:.2f}",
        }  # fmt: skip
    wanted = [key for field in fields for key in (field, f"{field}_raw")]
    availability = "RpB" if item.currency == "USD" else "DPB"
    return {key: known[key] for key in wanted if key in known} | {"6509": availability}


def seconds_of(text: str, *, bar: bool = False) -> int | None:
    """Return how long a period, or a bar, is; None if IBKR has no such one. Upper case is misread: as a minute."""
    match = re.fullmatch(r"(\d{1,4})(min|h|d|w|m|y)", text)
    if match is None:
        return 60 if re.fullmatch(r"\d{1,4}(MIN|H|D|W|M|Y)", text) else None
    count, unit = int(match[1]), match[2]
    if (text not in BARS) if bar else not 1 <= count <= _MOST[unit]:
        return None
    return count * _UNITS[unit]


def bars(item: Instrument, count: int, bar_s: int, until: float) -> list[Row]:
    """Return so many bars of `bar_s` seconds up to `until` (seconds), oldest first; the last closes at the price."""
    rng = random.Random(f"bars:{item.conid}:{bar_s}")
    close, digits, found = item.price, _digits(item), []
    for place in range(count):
        opened = close / (1 + rng.uniform(-0.006, 0.0063))
        top, bottom = max(opened, close) * (1 + rng.random() / 500), min(opened, close) * (1 - rng.random() / 500)
        volume = 0 if item.asset_class == "CASH" else fixed(rng.uniform(10, 300_000))
        at = int(until) // bar_s * bar_s - place * bar_s
        found.append({"o": fixed(opened, digits), "c": fixed(close, digits), "h": fixed(top, digits),
                      "l": fixed(bottom, digits), "v": volume, "t": at * 1000})  # fmt: skip
        close = opened
    return found[::-1]


def _digits(item: Instrument) -> int:
    return 5 if item.asset_class == "CASH" else 2


def history(item: Instrument, data: list[Row], period: str, bar_s: int, *, outside: bool) -> Row:
    """Return the answer of `/iserver/marketdata/history` for these bars."""
    high = max(data, key=lambda one: one["h"])
    low = min(data, key=lambda one: one["l"])

    def extreme(one: Row, price: float) -> str:
        return f"{round(price * 100)}/{one['v']}/{(one['t'] - data[0]['t']) // 60_000}"

    started = datetime.fromtimestamp(data[0]["t"] / 1000, UTC)
    return {
        "serverId": str(100_000 + item.conid % 90_000), "symbol": item.ticker, "text": item.name, "priceFactor": 100,
        "startTime": f"{started:%Y%m%d-%H:%M:%S}", "high": extreme(high, high["h"]), "low": extreme(low, low["l"]),
        "timePeriod": period, "barLength": bar_s, "mdAvailability": "S", "mktDataDelay": 0, "outsideRth": outside,
        "tradingDayDuration": 390, "volumeFactor": 100, "priceDisplayRule": 1, "priceDisplayValue": "2",
        "negativeCapable": False, "messageVersion": 2, "data": data, "points": len(data) - 1, "travelTime": 7,
    }  # fmt: skip
