"""Reads about contracts: by number, by name, their rules, their hours, currencies, event contracts.

Those below `/iserver` need the brokerage tier; `/trsrv`, `/contract` and `/forecast` most likely do not.
"""

from functools import partial

from ibkr_tools.portal.endpoints.common import CONID, CONID_IN_PATH, EXCHANGE, SYMBOLS
from ibkr_tools.portal.endpoints.model import Endpoint, Kind, Parameter, Place, Tier, Type

_GET = partial(Endpoint, method="GET", tier=Tier.BROKERAGE, kind=Kind.READ)
_REFERENCE = partial(Endpoint, method="GET", tier=Tier.PORTFOLIO, kind=Kind.READ)

_IS_BUY = Parameter("isBuy", "whether about buying", Place.BODY, Type.BOOLEAN)

SEARCH = _GET(
    "search",
    path="/iserver/secdef/search",
    gives="contracts by symbol or company",
    parameters=(
        Parameter("symbol", "the symbol, or with name=true the company", required=True),
        Parameter("secType", "the kind of contract", choices=("STK", "IND", "BOND")),
        Parameter("name", "whether symbol is a company's name", type=Type.BOOLEAN),
        Parameter("more", "whether to show more", type=Type.BOOLEAN),
        Parameter("fund", "whether to search funds", type=Type.BOOLEAN),
        Parameter("fundFamilyConidEx", "the fund family"),
        Parameter("pattern", "whether symbol is a pattern", type=Type.BOOLEAN),
        Parameter("referrer", "who asks"),
    ),
    rows="",
)

ENDPOINTS = (
    SEARCH,
    _GET(
        "secdef_info",
        path="/iserver/secdef/info",
        gives="contracts derived from one: options, futures, bonds (after a search for it)",
        parameters=(
            CONID,
            Parameter("sectype", "the kind of contract, such as OPT", required=True),
            Parameter("month", "the month, such as SEP26"),
            EXCHANGE,
            Parameter("strike", "the strike price", type=Type.NUMBER),
            Parameter("right", "call or put", choices=("C", "P")),
            Parameter("issuerId", "the issuer of a bond"),
        ),
        rows="",
    ),
    _GET(
        "strikes",
        path="/iserver/secdef/strikes",
        gives="strike prices of the options of a month (after a search for the underlying)",
        parameters=(
            CONID,
            Parameter("sectype", "the kind of contract", choices=("OPT", "FOP", "WAR"), required=True),
            Parameter("month", "the month, such as SEP26", required=True),
            EXCHANGE,
        ),
    ),
    _GET(
        "bond_filters",
        path="/iserver/secdef/bond-filters",
        gives="what an issuer's bonds can be filtered by",
        parameters=(
            Parameter("symbol", "always BOND", default="BOND"),
            Parameter("issuerId", "the issuer", required=True),
        ),
        rows="bondFilters",
    ),
    _GET(
        "contract",
        path="/iserver/contract/{conid}/info",
        gives="what a contract is",
        parameters=(CONID_IN_PATH,),
    ),
    _GET(
        "contract_info_and_rules",
        path="/iserver/contract/{conid}/info-and-rules",
        gives="what a contract is, and how it may be traded",
        parameters=(CONID_IN_PATH, Parameter("isBuy", "whether about buying", type=Type.BOOLEAN)),
    ),
    _GET(
        "contract_algos",
        path="/iserver/contract/{conid}/algos",
        gives="the order algorithms IBKR has for a contract",
        parameters=(
            CONID_IN_PATH,
            Parameter("algos", "only these, such as Adaptive", type=Type.LIST),
            Parameter("addDescription", "1: with descriptions", type=Type.INTEGER, choices=("0", "1")),
            Parameter("addParams", "1: with parameters", type=Type.INTEGER, choices=("0", "1")),
        ),
        rows="algos",
    ),
    Endpoint(
        "contract_rules",
        "POST",
        "/iserver/contract/rules",
        Tier.BROKERAGE,
        Kind.READ,
        gives="how a contract may be traded",
        parameters=(Parameter("conid", "the contract", Place.BODY, Type.INTEGER, required=True), _IS_BUY),
    ),
    _GET(
        "currency_pairs",
        path="/iserver/currency/pairs",
        gives="the pairs of a currency",
        parameters=(Parameter("currency", "the currency", required=True),),
    ),
    _GET(
        "exchange_rate",
        path="/iserver/exchangerate",
        gives="one rate",
        parameters=(
            Parameter("source", "the currency to change", required=True),
            Parameter("target", "the currency to get", required=True),
        ),
    ),
    _REFERENCE(
        "secdef",
        path="/trsrv/secdef",
        gives="the definitions of contracts",
        parameters=(Parameter("conids", "the contracts", type=Type.LIST, required=True),),
        rows="secdef",
    ),
    _REFERENCE(
        "all_conids",
        path="/trsrv/all-conids",
        gives="all contracts of an exchange (large)",
        parameters=(
            Parameter("exchange", "the exchange, such as NASDAQ", required=True),
            Parameter("assetClass", "the kind of contract; IBKR takes STK"),
        ),
        rows="",
    ),
    _REFERENCE(
        "futures",
        path="/trsrv/futures",
        gives="futures by symbol",
        parameters=(SYMBOLS, EXCHANGE),
    ),
    _REFERENCE("stocks", path="/trsrv/stocks", gives="stocks by symbol", parameters=(SYMBOLS,)),
    _REFERENCE(
        "secdef_schedule",
        path="/trsrv/secdef/schedule",
        gives="trading hours by symbol and venue",
        parameters=(
            Parameter(
                "assetClass",
                "the kind of contract",
                choices=("STK", "OPT", "FUT", "CFD", "WAR", "SWP", "FND", "BND", "ICS"),
                required=True,
            ),
            Parameter("symbol", "the symbol", required=True),
            EXCHANGE,
            Parameter("exchangeFilter", "only these venues"),
        ),
        rows="",
    ),
    _REFERENCE(
        "trading_schedule",
        path="/contract/trading-schedule",
        gives="trading hours of a contract, day by day",
        parameters=(CONID, EXCHANGE),
        rows="schedules",
    ),
    _REFERENCE("forecast_categories", path="/forecast/category/tree", gives="categories of event contracts"),
    _REFERENCE(
        "forecast_markets",
        path="/forecast/contract/market",
        gives="the event contracts of one market",
        parameters=(Parameter("underlyingConid", "the market's contract", type=Type.INTEGER, required=True), EXCHANGE),
        rows="contracts",
    ),
    _REFERENCE(
        "forecast_rules",
        path="/forecast/contract/rules",
        gives="how an event contract is decided",
        parameters=(CONID,),
    ),
    _REFERENCE(
        "forecast_details",
        path="/forecast/contract/details",
        gives="what an event contract asks",
        parameters=(CONID,),
    ),
    _REFERENCE(
        "forecast_schedules",
        path="/forecast/contract/schedules",
        gives="trading hours of an event contract",
        parameters=(CONID,),
        rows="trading_schedules",
    ),
    _REFERENCE(
        "calendar_metadata",
        path="/calendar/metadata",
        gives="what the calendar of events knows (an old endpoint)",
        source="swagger",
    ),
    Endpoint(
        "calendar_events",
        "POST",
        "/calendar/events",
        Tier.PORTFOLIO,
        Kind.READ,
        gives="earnings, dividends and other events (an old endpoint)",
        parameters=(
            Parameter("date", 'from when to when: {"start": "…", "end": "…"}', Place.BODY, Type.JSON, required=True),
            Parameter("filters", "which kinds of events, as calendar_metadata names them", Place.BODY, Type.JSON),
        ),
        source="swagger",
    ),
)
