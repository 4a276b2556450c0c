"""Reads of what a person has set up: watchlists, alerts, IBKR's notifications (FYI)."""

from functools import partial

from ibkr_tools.portal.endpoints.endpoint import Endpoint, Pagination, Parameter, ParamIn, ParamType, RequestKind, Tier

_GET = partial(Endpoint, method="GET", tier=Tier.BROKERAGE, kind=RequestKind.READ)
_FYI = partial(Endpoint, method="GET", tier=Tier.PORTFOLIO, kind=RequestKind.READ, interval_s=1.0)

ENDPOINTS = (
    _GET(
        "watchlists",
        path="/iserver/watchlists",
        description="the names of the watchlists",
        parameters=(Parameter("SC", "which ones", choices=("USER_WATCHLIST",), default="USER_WATCHLIST"),),
        records_path="data.user_lists",
    ),
    _GET(
        "watchlist",
        path="/iserver/watchlist",
        description="the contracts of one watchlist",
        parameters=(Parameter("id", "the watchlist's number", required=True),),
        records_path="instruments",
    ),
    _GET("alerts", path="/iserver/account/{account}/alerts", description="the alerts", records_path=""),
    _GET(
        "alert",
        path="/iserver/account/alert/{alertId}",
        description="one alert in full",
        parameters=(
            Parameter("alertId", "the alert's number", ParamIn.PATH, ParamType.INTEGER, required=True),
            Parameter("type", "always Q", choices=("Q",), default="Q"),
        ),
    ),
    _GET("mta", path="/iserver/account/mta", description="the alert of the Mobile Trading Assistant"),
    _FYI("unread", path="/fyi/unreadnumber", description="how many notifications are unread"),
    _FYI("fyi_settings", path="/fyi/settings", description="which notifications are on", records_path=""),
    _FYI(
        "disclaimer",
        path="/fyi/disclaimer/{typecode}",
        description="the disclaimer of one kind of notification",
        parameters=(Parameter("typecode", "the kind, such as BA", ParamIn.PATH, required=True),),
    ),
    _FYI("delivery_options", path="/fyi/deliveryoptions", description="where notifications go", records_path="E"),
    _FYI(
        "notifications",
        path="/fyi/notifications",
        description="the notifications",
        parameters=(
            Parameter("max", "how many in one answer, 10 at most", type=ParamType.INTEGER, default="10"),
            Parameter("include", "only these kinds", type=ParamType.LIST),
            Parameter("exclude", "not these kinds", type=ParamType.LIST),
        ),
        records_path="",
        pagination=Pagination.CURSOR,
    ),
    _FYI(
        "notifications_more",
        path="/fyi/notifications/more",
        description="the notifications after one",
        parameters=(Parameter("id", "the last notification known", required=True),),
        records_path="",
    ),
)
