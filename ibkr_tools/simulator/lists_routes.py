"""What a person has set up, and what the market offers: watchlists, alerts, scanners.

Source: docs/reference/list-answers.md.
"""

from aiohttp import web

from ibkr_tools.simulator.catalogue import catalogue
from ibkr_tools.simulator.context import context_of, reply, session_of
from ibkr_tools.simulator.instruments import EXCHANGES, Instrument
from ibkr_tools.simulator.request_parsing import BAD_ACCOUNT, Route, bad_request, body_of, brokerage, is_first
from ibkr_tools.simulator.simulated_accounts import Account, Row

__all__ = ["ROUTES"]

WATCHLISTS = {"99999": "Favoriten Österreich", "100000": "Derivatives"}
CHANGED_AT = 1_775_319_529_009
MOST_SCANNED = 50
ALERTS = 2
FIRST_ALERT = 9_876_543_210
"""Larger than 32 bits hold, as IBKR's are."""
SCANS = {"TOP_PERC_GAIN": "Chg%", "TOP_PERC_LOSE": "Chg%", "MOST_ACTIVE": "Volume", "TOP_TRADE_COUNT": "Trades"}
INSTRUMENTS = {"STK": "US Stocks", "STOCK.EU": "European Stocks", "FUT.US": "US Futures"}
LOCATIONS = {"STK.US.MAJOR": "Listed/NASDAQ", "STK.US.MINOR": "OTC Markets"}
FILTERS = {"priceAbove": "Price Above", "priceBelow": "Price Below", "volumeAbove": "Volume Above"}


async def watchlists(request: web.Request) -> web.Response:
    """List the watchlists; those of IBKR itself without `SC`."""
    own = request.query.get("SC", "USER_WATCHLIST") == "USER_WATCHLIST"
    lists = [{"is_open": False, "read_only": False, "name": name, "modified": CHANGED_AT, "id": number,
              "type": "watchlist"} for number, name in WATCHLISTS.items() if own]  # fmt: skip
    return reply({"data": {"scanners_only": False, "show_scanners": False, "bulk_delete": False, "user_lists": lists},
                  "action": "content", "MID": "1"})  # fmt: skip


async def watchlist(request: web.Request) -> web.Response:
    """Return one watchlist; the first answer of a session has types and numbers alone."""
    number = request.query.get("id", "")
    if number not in WATCHLISTS:
        return reply({"error": "Unable to get watchlist"}, 503)
    held = context_of(request).accounts_of(session_of(request))[-1].instruments
    chosen = [one for one in held if (one.expiry is None) is (number == "99999")][:12]
    short: list[Row] = [{"ST": one.asset_class, "C": str(one.conid)} for one in chosen]
    if not is_first(request, f"watchlist:{number}"):
        short = [row | _named(one) for row, one in zip(short, chosen, strict=True)]
    return reply({"id": number, "hash": str(CHANGED_AT), "name": WATCHLISTS[number], "readOnly": False,
                  "instruments": short})  # fmt: skip


def _named(item: Instrument) -> Row:
    return {"conid": item.conid, "name": item.name, "fullName": item.description, "assetClass": item.asset_class,
            "ticker": item.ticker, "chineseName": None}  # fmt: skip


async def alerts(request: web.Request) -> web.Response:
    """List the alerts of one account."""
    account = context_of(request).account(session_of(request), request.match_info["account"])
    if account is None:
        return reply(BAD_ACCOUNT, 400)
    return reply([{"order_id": alert["order_id"], "account": account.account_id, "alert_name": alert["alert_name"],
                   "alert_active": 1, "order_time": "20260308-17:08:38", "alert_triggered": False,
                   "alert_repeatable": 0} for alert in _alerts(account)])  # fmt: skip


async def alert(request: web.Request) -> web.Response:
    """Return one alert; of an unknown one, an error with 200."""
    if request.query.get("type") != "Q":
        return bad_request("type must be Q")
    accounts = context_of(request).accounts_of(session_of(request))
    found = [one for account in accounts for one in _alerts(account)]
    known = {str(one["order_id"]): one for one in found}
    return reply(known.get(request.match_info["alert"], {"error": "Alert not found", "order_id": 0}))


async def mobile_assistant(request: web.Request) -> web.Response:
    """Return the alert of the Mobile Trading Assistant."""
    account = context_of(request).accounts_of(session_of(request))[0]
    mta = _alert(account, 99, "MTA (AutoAlert)", "*@*", "Unknown")
    return reply(mta | {"alert_mta_currency": "EUR", "alert_repeatable": 1, "alert_show_popup": 0,
                        "alert_mta_defaults": "9:STATE=1,MIN=-260000,MAX=260000,STEP=500|8:STATE=0"})  # fmt: skip


def _alerts(account: Account) -> list[Row]:
    held = [one for one in account.instruments if one.asset_class == "STK"][:ALERTS]
    return [_alert(account, place, one.ticker, f"{one.conid}@{EXCHANGES[one.currency]}", one.ticker)
            for place, one in enumerate(held)]  # fmt: skip


def _alert(account: Account, place: int, name: str, conidex: str, described: str) -> Row:
    return {
        "account": account.account_id, "order_id": FIRST_ALERT + account.index * 100 + place, "alert_name": name,
        "tif": "GTC", "expire_time": None, "alert_active": 1, "alert_repeatable": 0,
        "alert_email": "sample@example.com", "alert_send_message": 1, "alert_message": None, "alert_show_popup": 1,
        "alert_play_audio": None, "order_status": "Submitted", "alert_triggered": False, "fg_color": "#FFFFFF",
        "bg_color": "#0000CC", "order_not_editable": False, "itws_orders_only": 0, "alert_mta_currency": None,
        "alert_mta_defaults": None, "tool_id": None, "time_zone": None, "alert_default_type": None,
        "condition_size": 1, "condition_outside_rth": 1,
        "conditions": [{"condition_type": 1, "conidex": conidex, "contract_description_1": described,
                        "condition_operator": ">=", "condition_trigger_method": "0", "condition_value": "500.00",
                        "condition_logic_bind": "n", "condition_time_zone": None}],
    }  # fmt: skip


async def scanner_parameters(_request: web.Request) -> web.Response:
    """List what scanners can be asked for."""
    return reply({
        "scan_type_list": [{"display_name": code.replace("_", " ").title(), "code": code, "instruments": ["STK"]}
                           for code in SCANS],
        "instrument_list": [{"display_name": name, "type": code, "filters": list(FILTERS)}
                            for code, name in INSTRUMENTS.items()],
        "filter_list": [{"group": code, "display_name": name, "code": code, "type": "non-range"}
                        for code, name in FILTERS.items()],
        "location_tree": [{"display_name": "US Stocks", "type": "STK", "locations": [
            {"display_name": name, "type": code, "locations": []} for code, name in LOCATIONS.items()]}],
    })  # fmt: skip


async def scanner(request: web.Request) -> web.Response:
    """Return at most 50 contracts that a scanner finds."""
    body = await body_of(request)
    if any(not body.get(name) for name in ("instrument", "type", "location")):
        return bad_request("instrument, type and location are required")
    column = SCANS.get(body["type"])
    if column is None:
        return reply({"error": "Unknown scan type"}, 500)
    given = body.get("filter")
    wanted = {str(one.get("code")): one.get("value") for one in given or [] if isinstance(one, dict)}
    least, most = (_price(wanted.get(code), default) for code, default in (("priceAbove", 0.0), ("priceBelow", 1e9)))
    known = catalogue(context_of(request).world.options.seed).searchable()
    found = [one for one in known if one.asset_class == "STK" and least <= one.price <= most][:MOST_SCANNED]
    rows = [{
        "server_id": str(place), "symbol": one.ticker, "conidex": str(one.conid), "con_id": one.conid,
        "available_chart_periods": "#R|1", "company_name": one.name, "scan_data": f"{50 - place}.5",
        "contract_description_1": one.ticker, "listing_exchange": EXCHANGES[one.currency], "sec_type": "STK",
    } for place, one in enumerate(found)]  # fmt: skip
    if rows:
        rows[0]["column_name"] = column
    return reply({"contracts": rows, "scan_data_column_name": column})


def _price(value: object, default: float) -> float:
    return float(value) if isinstance(value, int | float) else default


ROUTES: list[Route] = [
    ("GET", "/iserver/watchlists", brokerage(watchlists)),
    ("GET", "/iserver/watchlist", brokerage(watchlist)),
    ("GET", "/iserver/account/mta", brokerage(mobile_assistant)),
    ("GET", "/iserver/account/{account}/alerts", brokerage(alerts)),
    ("GET", "/iserver/account/alert/{alert}", brokerage(alert)),
    ("GET", "/iserver/scanner/params", brokerage(scanner_parameters)),
    ("POST", "/iserver/scanner/run", brokerage(scanner)),
]
