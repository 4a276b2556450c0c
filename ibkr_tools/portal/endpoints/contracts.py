"""Reads about contracts: by number, by name, their rules, their hours, currencies, event contracts.

Those below `/iserver` need the brokerage tier; `/trsrv`, `/contract` and `/forecast` most likely do not.
"""

from functools import partial

from ibkr_tools.portal.endpoints.endpoint import Endpoint, Parameter, ParamIn, ParamType, RequestKind, Tier
from ibkr_tools.portal.endpoints.shared_parameters import CONID, CONID_IN_PATH, EXCHANGE, SYMBOLS

_GET = partial(Endpoint, method="GET", tier=Tier.BROKERAGE, kind=RequestKind.READ)
_REFERENCE = partial(Endpoint, method="GET", tier=Tier.PORTFOLIO, kind=RequestKind.READ)

_IS_BUY = Parameter("isBuy", "whether about buying", ParamIn.BODY, ParamType.BOOLEAN)

SEARCH = _GET(
    "search",
    path="/iserver/secdef/search",
    description="contracts by symbol or company",
    parameters=(
        Parameter("symbol", "the symbol, or with name=true the company", required=True),
        Parameter("secType", "the kind of contract", choices=("STK", "IND", "BOND")),
        Parameter("name", "whether symbol is a company's name", type=ParamType.BOOLEAN),
        Parameter("more", "whether to show more", type=ParamType.BOOLEAN),
        Parameter("fund", "whether to search funds", type=ParamType.BOOLEAN),
        Parameter("fundFamilyConidEx", "the fund family"),
        Parameter("pattern", "whether symbol is a pattern", type=ParamType.BOOLEAN),
        Parameter("referrer", "who asks"),
    ),
    records_path="",
)

ENDPOINTS = (
    SEARCH,
    _GET(
        "secdef_info",
        path="/iserver/secdef/info",
        description="contracts derived from one: options, futures, bonds (after a search for it)",
        parameters=(
            CONID,
            Parameter("sectype", "the kind of contract, such as OPT", required=True),
            Parameter("month", "the month, such as SEP26"),
            EXCHANGE,
            Parameter("strike", "the strike price", type=ParamType.NUMBER),
            Parameter("right", "call or put", choices=("C", "P")),
            Parameter("issuerId", "the issuer of a bond"),
        ),
        records_path="",
    ),
    _GET(
        "strikes",
        path="/iserver/secdef/strikes",
        description="strike prices of the options of a month (after a search for the underlying)",
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
        description="what an issuer's bonds can be filtered by",
        parameters=(
            Parameter("symbol", "always BOND", default="BOND"),
            Parameter("issuerId", "the issuer", required=True),
        ),
        records_path="bondFilters",
    ),
    _GET(
        "contract",
        path="/iserver/contract/{conid}/info",
        description="what a contract is",
        parameters=(CONID_IN_PATH,),
    ),
    _GET(
        "contract_info_and_rules",
        path="/iserver/contract/{conid}/info-and-rules",
        description="what a contract is, and how it may be traded",
        parameters=(CONID_IN_PATH, Parameter("isBuy", "whether about buying", type=ParamType.BOOLEAN)),
    ),
    _GET(
        "contract_algos",
        path="/iserver/contract/{conid}/algos",
        description="the order algorithms IBKR has for a contract",
        parameters=(
            CONID_IN_PATH,
            Parameter("algos", "only these, such as Adaptive", type=ParamType.LIST),
            Parameter("addDescription", "1: with descriptions", type=ParamType.INTEGER, choices=("0", "1")),
            Parameter("addParams", "1: with parameters", type=ParamType.INTEGER, choices=("0", "1")),
        ),
        records_path="algos",
    ),
    Endpoint(
        "contract_rules",
        "POST",
        "/iserver/contract/rules",
        Tier.BROKERAGE,
        RequestKind.READ,
        description="how a contract may be traded",
        parameters=(Parameter("conid", "the contract", ParamIn.BODY, ParamType.INTEGER, required=True), _IS_BUY),
    ),
    _GET(
        "currency_pairs",
        path="/iserver/currency/pairs",
        description="the pairs of a currency",
        parameters=(Parameter("currency", "the currency", required=True),),
    ),
    _GET(
        "exchange_rate",
        path="/iserver/exchangerate",
        description="one rate",
        parameters=(
            Parameter("source", "the currency to change", required=True),
            Parameter("target", "the currency to get", required=True),
        ),
    ),
    _REFERENCE(
        "secdef",
        path="/trsrv/secdef",
        description="the definitions of contracts",
        parameters=(Parameter("conids", "the contracts", type=ParamType.LIST, required=True),),
        records_path="secdef",
    ),
    _REFERENCE(
        "all_conids",
        path="/trsrv/all-conids",
        description="all contracts of an exchange (large)",
        parameters=(
            Parameter("exchange", "the exchange, such as NASDAQ", required=True),
            Parameter("assetClass", "the kind of contract; IBKR takes STK"),
        ),
        records_path="",
    ),
    _REFERENCE(
        "futures",
        path="/trsrv/futures",
        description="futures by symbol",
        parameters=(SYMBOLS, EXCHANGE),
    ),
    _REFERENCE("stocks", path="/trsrv/stocks", description="stocks by symbol", parameters=(SYMBOLS,)),
    _REFERENCE(
        "secdef_schedule",
        path="/trsrv/secdef/schedule",
        description="trading hours by symbol and venue",
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
        records_path="",
    ),
    _REFERENCE(
        "trading_schedule",
        path="/contract/trading-schedule",
        description="trading hours of a contract, day by day",
        parameters=(CONID, EXCHANGE),
        records_path="schedules",
    ),
    _REFERENCE("forecast_categories", path="/forecast/category/tree", description="categories of event contracts"),
    _REFERENCE(
        "forecast_markets",
        path="/forecast/contract/market",
        description="the event contracts of one market",
        parameters=(
            Parameter("underlyingConid", "the market's contract", type=ParamType.INTEGER, required=True),
            EXCHANGE,
        ),
        records_path="contracts",
    ),
    _REFERENCE(
        "forecast_rules",
        path="/forecast/contract/rules",
        description="how an event contract is decided",
        parameters=(CONID,),
    ),
    _REFERENCE(
        "forecast_details",
        path="/forecast/contract/details",
        description="what an event contract asks",
        parameters=(CONID,),
    ),
    _REFERENCE(
        "forecast_schedules",
        path="/forecast/contract/schedules",
        description="trading hours of an event contract",
        parameters=(CONID,),
        records_path="trading_schedules",
    ),
)
