"""Reads of the brokerage tier about the market: snapshots, history, scanners."""

from functools import partial

from ibkr_tools.portal.endpoints.endpoint import Endpoint, Parameter, ParamIn, ParamType, RequestKind, Tier
from ibkr_tools.portal.endpoints.shared_parameters import CONID, EXCHANGE, OUTSIDE_RTH

_GET = partial(Endpoint, method="GET", tier=Tier.BROKERAGE, kind=RequestKind.READ)
_POST = partial(Endpoint, method="POST", tier=Tier.BROKERAGE, kind=RequestKind.READ)

_CONIDS = Parameter("conids", "the contracts, 100 at most", type=ParamType.LIST, required=True)
_PERIOD = Parameter("period", "how long, in small letters: 30min, 8h, 5d, 2w, 6m, 1y", default="1w")
_BAR = Parameter(
    "bar",
    "how long a bar is",
    choices=(
        *("1min", "2min", "3min", "5min", "10min", "15min", "30min"),
        *("1h", "2h", "3h", "4h", "8h", "1d", "1w", "1m"),
    ),
    default="1d",
)

MARKET_SNAPSHOT = _GET(
    "snapshot",
    path="/iserver/marketdata/snapshot",
    description="prices and other fields of now",
    parameters=(
        _CONIDS,
        # Last, symbol, high, low, change, change in %, bid, ask, volume, their sizes, open, close of the day before.
        Parameter(
            "fields",
            "the fields' numbers, 50 at most",
            type=ParamType.LIST,
            default="31,55,70,71,82,83,84,85,86,87,88,7295,7741",
        ),
    ),
    records_path="",
    needs_warm_up=True,
)
HISTORY = _GET(
    "history",
    path="/iserver/marketdata/history",
    description="price bars, 1,000 at most",
    parameters=(
        CONID,
        _PERIOD,
        _BAR,
        EXCHANGE,
        OUTSIDE_RTH,
        Parameter("startTime", "the end of the time, in UTC: 20261120-21:00:00; none: now"),
        Parameter("direction", "-1: back from startTime", type=ParamType.INTEGER, choices=("-1", "1")),
        Parameter("source", "what the bars are of, such as Last or Bid_Ask"),
    ),
    records_path="data",
)

ENDPOINTS = (
    MARKET_SNAPSHOT,
    HISTORY,
    _GET(
        "scanner_params",
        path="/iserver/scanner/params",
        interval_s=900.0,
        description="what a scanner may be asked for (large)",
    ),
    _POST(
        "scanner",
        path="/iserver/scanner/run",
        interval_s=1.0,
        description="the contracts a scanner finds, 50 at most",
        parameters=(
            Parameter("instrument", "the kind of contract, such as STK", ParamIn.BODY, required=True),
            Parameter("type", "the scanner, such as TOP_PERC_GAIN", ParamIn.BODY, required=True),
            Parameter("location", "the market, such as STK.US.MAJOR", ParamIn.BODY, required=True),
            Parameter("filter", 'conditions: [{"code": "priceAbove", "value": 5}]', ParamIn.BODY, ParamType.JSON),
        ),
        records_path="contracts",
    ),
)
