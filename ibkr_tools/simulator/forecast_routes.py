"""Event contracts: a few made-up ones, always the same. Source: docs/reference/contract-answers.md#events."""

from aiohttp import web

from ibkr_tools.simulator.context import reply
from ibkr_tools.simulator.request_parsing import Route, number
from ibkr_tools.simulator.simulated_accounts import Row

__all__ = ["ROUTES"]

UNDERLYING, FIRST = 732_764_706, 732_957_192
STRIKES = (4700.0, 5050.0)
MARKET = {"market_name": "Sample Carbon Dioxide Emissions", "symbol": "SCO2", "exchange": "FORECASTX",
          "logo_category": "g7369"}  # fmt: skip
EXPIRY = "20270430"
NO_CONTRACT = {"error": "Contract not found"}


async def categories(_request: web.Request) -> web.Response:
    """Return the tree of categories; a root has no parent, a group has no markets."""
    market = {"conid": UNDERLYING, "exchange": "FORECASTX", "name": MARKET["market_name"], "symbol": "SCO2",
              "product_conid": UNDERLYING + 5}  # fmt: skip
    return reply({"categories": {
        "g17490": {"name": "Europe", "parent_id": "g7369", "markets": [market]},
        "g7369": {"name": "Climate Change", "parent_id": "g5351"},
        "g5351": {"name": "Environmental"},
    }})  # fmt: skip


async def market(request: web.Request) -> web.Response:
    """Return the contracts of one market."""
    if number(request.query.get("underlyingConid", "")) != UNDERLYING:
        return reply(NO_CONTRACT, 500)
    return reply({**MARKET, "exclude_historical_data": False, "payout": 1.0, "contracts": list(_contracts().values())})


async def details(request: web.Request) -> web.Response:
    """Return one contract and the question it asks."""
    contract = _asked(request)
    if contract is None:
        return reply(NO_CONTRACT, 500)
    yes = FIRST + STRIKES.index(contract["strike"]) * 2
    return reply({**MARKET, "category": "g5351", "conid_yes": yes, "conid_no": yes + 1, "expiration": EXPIRY,
                  "measured_period": "Dec31'26", "payout": 1.0, "side": contract["side"],
                  "question": f"Will emissions exceed {contract['strike']:,.0f} million tons in 2026?",
                  "strike": contract["strike"], "strike_label": contract["strike_label"],
                  "underlying_conid": UNDERLYING})  # fmt: skip


async def rules(request: web.Request) -> web.Response:
    """Return the rules of one contract, numbers as text."""
    contract = _asked(request)
    if contract is None:
        return reply(NO_CONTRACT, 500)
    return reply({"asset_class": "OPT", "data_and_resolution_link": "https://example.com/data",
                  "description": "Emissions in a calendar year.", "exchange_timezone": "US/Central",
                  "last_trade_time": 1_808_946_000, "market_name": MARKET["market_name"],
                  "market_rules_link": "https://example.com/rules.pdf", "measured_period": "Dec31'26",
                  "payout": "$1.00", "payout_time": 1_809_021_600, "price_increment": "$0.01",
                  "product_code": "SCO2", "release_time": 1_808_946_000, "source_agency": "Sample Agency",
                  "threshold": f"{contract['strike']}"})  # fmt: skip


async def schedules(request: web.Request) -> web.Response:
    """Return when one contract is traded."""
    if _asked(request) is None:
        return reply(NO_CONTRACT, 500)
    times = [{"open": "12:00 AM", "close": "4:00 PM"}, {"open": "4:15 PM", "close": "11:59 PM"}]
    days = [{"day_of_week": day, "trading_times": times} for day in ("Saturday", "Sunday", "Monday", "Tuesday")]
    return reply({"timezone": "US/Central", "trading_schedules": days})


def _contracts() -> dict[int, Row]:
    rows = [(strike, side) for strike in STRIKES for side in ("Y", "N")]
    return {FIRST + place: {
        "conid": FIRST + place, "side": side, "expiration": EXPIRY, "strike": strike,
        "strike_label": f"Above {strike:,.0f}", "expiry_label": "2026", "time_specifier": "2026.12.31",
        "underlying_conid": UNDERLYING,
    } for place, (strike, side) in enumerate(rows)}  # fmt: skip


def _asked(request: web.Request) -> Row | None:
    return _contracts().get(number(request.query.get("conid", "")))


ROUTES: list[Route] = [
    ("GET", "/forecast/category/tree", categories),
    ("GET", "/forecast/contract/market", market),
    ("GET", "/forecast/contract/details", details),
    ("GET", "/forecast/contract/rules", rules),
    ("GET", "/forecast/contract/schedules", schedules),
]
