"""How the servers describe contracts: definitions, search, rules, schedules. Pure.

Source: docs/reference/contract-answers.md.
"""

from datetime import UTC, datetime, timedelta

from ibkr_tools.simulator.catalogue import MONTHS, Chain
from ibkr_tools.simulator.instruments import EXCHANGES, RATES, Instrument
from ibkr_tools.simulator.simulated_accounts import Row

__all__ = [
    "bond_filters",
    "contract_info",
    "definition",
    "derived",
    "future",
    "issuer_of",
    "rules",
    "search_entry",
    "stock",
    "trading_hours",
    "venue_schedule",
]

_ORDER_TYPES = ["limit", "midprice", "market", "stop", "stop_limit", "mit", "lit", "trailing_stop"]
_MONTH_NAMES = {"12": "DEC", "03": "MAR", "06": "JUN", "09": "SEP"}
_ZONES = {"USD": "US/Eastern", "JPY": "Asia/Tokyo", "GBP": "Europe/London"}


def definition(item: Instrument) -> Row:
    """Return the record of `/trsrv/secdef`: names as in the long form of a position."""
    skipped = ("baseMktPrice", "baseMktValue", "baseAvgCost", "baseAvgPrice", "baseRealizedPnl", "baseUnrealizedPnl")
    row = {key: value for key, value in item.long_part(RATES[item.currency]).items() if key not in skipped}
    return {
        "conid": item.conid, "currency": item.currency, **row, "assetClass": item.asset_class, "expiry": item.expiry,
        "putOrCall": item.right, "multiplier": item.multiplier, "undConid": item.underlying, "pageSize": 100,
    }  # fmt: skip


def search_entry(item: Instrument, chain: Chain | None) -> Row:
    """Return the record of `/iserver/secdef/search`; `conid` is a string, bonds are found by their issuer."""
    exchange = EXCHANGES.get(item.currency, "SMART")
    if item.asset_class == "BOND":
        return {"issuers": [{"id": issuer_of(item), "name": item.name}], "bondid": 2, "conid": "2147483647",
                "companyHeader": "Corporate Fixed Income", "companyName": None, "symbol": None, "description": None,
                "restricted": None, "sections": [{"secType": "BOND"}]}  # fmt: skip
    sections: list[Row] = [{"secType": item.asset_class}]
    if chain is not None:
        sections.append({"secType": chain.kind, "months": ";".join(MONTHS), "exchange": f"SMART;{exchange}"})
    return {
        "conid": str(item.conid), "companyHeader": f"{item.name} - {exchange}", "companyName": item.name,
        "symbol": item.ticker, "description": exchange, "restricted": None, "sections": sections,
    }  # fmt: skip


def issuer_of(item: Instrument) -> str:
    """Return the number of a bond's issuer."""
    return f"e{item.conid}"


def bond_filters(item: Instrument) -> Row:
    """Return `/iserver/secdef/bond-filters`."""
    return {"bondFilters": [
        {"displayText": "Maturity Date", "columnId": 27, "options": [{"text": "Dec 2028", "value": "202812"}]},
        {"displayText": "Issue Date", "columnId": 28, "options": [{"text": "Sep 18 2014", "value": "20140918"}]},
        {"displayText": "Coupon", "columnId": 25, "options": [{"value": "1.301"}]},
        {"displayText": "Currency", "columnId": 5, "options": [{"value": item.currency}]},
    ]}  # fmt: skip


def derived(item: Instrument) -> Row:
    """Return one record of `/iserver/secdef/info`."""
    exchange = EXCHANGES.get(item.currency, "SMART")
    return {
        "conid": item.conid, "symbol": item.ticker, "secType": item.asset_class, "exchange": "SMART",
        "listingExchange": None if item.expiry else exchange, "right": item.right or "?", "strike": item.strike,
        "currency": item.currency, "cusip": None, "coupon": "No Coupon", "desc1": item.ticker, "desc2": _text(item),
        "maturityDate": item.expiry, "multiplier": _multiplier(item), "tradingClass": item.ticker,
        "validExchanges": f"SMART,{exchange}", "showPrips": True,
    }  # fmt: skip


def contract_info(item: Instrument) -> Row:
    """Return `/iserver/contract/{conid}/info`, snake case."""
    exchange = EXCHANGES.get(item.currency, "SMART")
    info: Row = {
        "cfi_code": "OCXXXS" if item.asset_class == "OPT" else "", "symbol": item.ticker, "cusip": None,
        "expiry_full": item.expiry, "con_id": item.conid, "maturity_date": item.expiry, "industry": item.sector,
        "instrument_type": item.asset_class, "trading_class": item.ticker, "valid_exchanges": f"SMART,{exchange}",
        "allow_sell_long": False, "is_zero_commission_security": False, "local_symbol": item.description,
        "contract_clarification_type": None, "classifier": None, "currency": item.currency, "text": _text(item),
        "underlying_con_id": item.underlying, "r_t_h": item.expiry is None, "multiplier": _multiplier(item),
        "underlying_issuer": None, "contract_month": item.expiry[:6] if item.expiry else None,
        "company_name": item.name, "smart_available": True, "exchange": "SMART", "category": item.group,
    }  # fmt: skip
    if item.right:
        info |= {"strike": f"{item.strike:g}", "right": {"C": "CALL", "P": "PUT"}[item.right]}
    return info


def rules(item: Instrument, accounts: list[str], *, is_buy: bool) -> Row:
    """Return the rules for orders in a contract."""
    price = round(item.price * (0.999 if is_buy else 1.001), 2)
    return {
        "algoEligible": item.asset_class == "STK", "overnightEligible": False, "costReport": False,
        "canTradeAcctIds": accounts, "error": None, "orderTypes": _ORDER_TYPES, "ibAlgoTypes": ["limit", "relative"],
        "fraqTypes": _ORDER_TYPES if item.asset_class == "STK" else [], "forceOrderPreview": False,
        "cqtTypes": _ORDER_TYPES if item.asset_class == "STK" else [],
        "orderDefaults": {"LMT": {"LP": f"{price:.2f}"}}, "orderTypesOutside": ["limit", "stop_limit"],
        "defaultSize": 100 if item.asset_class == "STK" else 1, "cashSize": 0.0, "sizeIncrement": 1,
        "tifTypes": ["IOC/MARKET,LIMIT,RELATIVE", "GTC/o,a", "OPG/LIMIT,MARKET,a", "DAY/o,a"],
        "tifDefaults": {"TIF": "DAY", "SIZE": "100.00"}, "limitPrice": price, "stopprice": price,
        "orderOrigination": None, "preview": True, "displaySize": None, "fraqInt": 4, "cashCcy": item.currency,
        "cashQtyIncr": 500, "priceMagnifier": None, "negativeCapable": False, "incrementType": 1,
        "incrementRules": [{"lowerEdge": 0.0, "increment": 0.01}], "hasSecondary": True, "modTypes": [],
        "increment": 0.01, "incrementDigits": 2,
    }  # fmt: skip


def stock(items: list[Instrument]) -> Row:
    """Return one company of `/trsrv/stocks`."""
    return {
        "name": items[0].name, "chineseName": "&#x793A;&#x4F8B;&#x516C;&#x53F8;", "assetClass": "STK",
        "contracts": [{"conid": one.conid, "exchange": EXCHANGES.get(one.currency, "SMART"),
                       "isUS": one.currency == "USD"} for one in items],
    }  # fmt: skip


def future(item: Instrument) -> Row:
    """Return one record of `/trsrv/futures`; its dates are numbers."""
    expiry = datetime.strptime(item.expiry or "", "%Y%m%d").replace(tzinfo=UTC)
    before = int(f"{expiry - timedelta(days=1):%Y%m%d}")
    return {"symbol": item.ticker, "conid": item.conid, "underlyingConid": item.underlying,
            "expirationDate": int(item.expiry or 0), "ltd": before, "shortFuturesCutOff": before,
            "longFuturesCutOff": before}  # fmt: skip


def venue_schedule(item: Instrument) -> Row:
    """Return one venue of `/trsrv/secdef/schedule`: the first days of 2000 stand for weekdays, Saturday first."""
    exchange = EXCHANGES.get(item.currency, "SMART")

    def day(number: int) -> Row:
        open_ = number > 2
        return {
            "clearingCycleEndTime": "0000", "tradingScheduleDate": f"200001{number:02d}",
            "sessions": [{"openingTime": "0930", "closingTime": "1600", "prop": "LIQUID"}] if open_ else [],
            "tradingtimes": [{"openingTime": "0400", "closingTime": "2000", "cancelDayOrders": "Y"}] if open_ else [],
        }  # fmt: skip

    return {"id": f"p{item.conid % 90_000}", "tradeVenueId": f"v{item.conid % 900}", "exchange": exchange,
            "description": f"{exchange} Exchange", "timezone": _ZONES.get(item.currency, "Europe/Berlin"),
            "schedules": [day(number) for number in range(1, 8)]}  # fmt: skip


def trading_hours(item: Instrument, now: float) -> Row:
    """Return `/contract/trading-schedule`: six days around today, weekends left out; times in seconds."""
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [day for ago in range(-2, 6) if (day := today + timedelta(days=ago)).weekday() < 5]
    schedules = {}
    for day in days[:6]:
        at = int(day.timestamp())
        schedules[f"{day:%Y%m%d}"] = {
            "liquid_hours": [{"opening": at + 52_200, "closing": at + 75_600}],
            "extended_hours": [{"cancel_daily_orders": True, "opening": at + 32_400, "closing": at + 86_400}],
        }  # fmt: skip
    return {"exchange_time_zone": _ZONES.get(item.currency, "Europe/Berlin"), "schedules": schedules}


def _text(item: Instrument) -> str | None:
    """Return the words for a derivative, as `JUN 18 '27 331 Call`."""
    if not item.expiry:
        return None
    day = f"{_MONTH_NAMES[item.expiry[4:6]]} {item.expiry[6:]} '{item.expiry[2:4]}"
    return f"{day} {item.strike:g} {'Call' if item.right == 'C' else 'Put'}" if item.right else day


def _multiplier(item: Instrument) -> str | None:
    return f"{item.multiplier:g}" if item.multiplier else None
