"""Reads of what a person has set up: watchlists, alerts, IBKR's notifications (FYI)."""

from functools import partial

from ibkr_tools.portal.endpoints.model import Endpoint, Kind, Pages, Parameter, Place, Tier, Type

_GET = partial(Endpoint, method="GET", tier=Tier.BROKERAGE, kind=Kind.READ)
_FYI = partial(Endpoint, method="GET", tier=Tier.PORTFOLIO, kind=Kind.READ, interval_s=1.0)

ENDPOINTS = (
    _GET(
        "watchlists",
        path="/iserver/watchlists",
        gives="the names of the watchlists",
        parameters=(Parameter("SC", "which ones", choices=("USER_WATCHLIST",), default="USER_WATCHLIST"),),
        rows="data.user_lists",
    ),
    _GET(
        "watchlist",
        path="/iserver/watchlist",
        gives="the contracts of one watchlist",
        parameters=(Parameter("id", "the watchlist's number", required=True),),
        rows="instruments",
    ),
    _GET("alerts", path="/iserver/account/{account}/alerts", gives="the alerts", rows=""),
    _GET(
        "alert",
        path="/iserver/account/alert/{alertId}",
        gives="one alert in full",
        parameters=(
            Parameter("alertId", "the alert's number", Place.PATH, Type.INTEGER, required=True),
            Parameter("type", "always Q", choices=("Q",), default="Q"),
        ),
    ),
    _GET("mta", path="/iserver/account/mta", gives="the alert of the Mobile Trading Assistant"),
    _FYI("unread", path="/fyi/unreadnumber", gives="how many notifications are unread"),
    _FYI("fyi_settings", path="/fyi/settings", gives="which notifications are on", rows=""),
    _FYI(
        "disclaimer",
        path="/fyi/disclaimer/{typecode}",
        gives="the disclaimer of one kind of notification",
        parameters=(Parameter("typecode", "the kind, such as BA", Place.PATH, required=True),),
    ),
    _FYI("delivery_options", path="/fyi/deliveryoptions", gives="where notifications go", rows="E"),
    _FYI(
        "notifications",
        path="/fyi/notifications",
        gives="the notifications",
        parameters=(
            Parameter("max", "how many in one answer, 10 at most", type=Type.INTEGER, default="10"),
            Parameter("include", "only these kinds", type=Type.LIST),
            Parameter("exclude", "not these kinds", type=Type.LIST),
        ),
        rows="",
        pages=Pages.AFTER,
    ),
    _FYI(
        "notifications_more",
        path="/fyi/notifications/more",
        gives="the notifications after one",
        parameters=(Parameter("id", "the last notification known", required=True),),
        rows="",
    ),
)
