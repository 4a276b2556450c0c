"""Reads of the portfolio tier: accounts, balances, positions. No brokerage session is needed."""

from functools import partial

from ibkr_tools.portal.endpoints.endpoint import Endpoint, Pagination, Parameter, ParamType, RequestKind, Tier
from ibkr_tools.portal.endpoints.shared_parameters import ACCT_IDS, CONID_IN_PATH, MODEL

_GET = partial(Endpoint, method="GET", tier=Tier.PORTFOLIO, kind=RequestKind.READ)

_SORT = Parameter("sort", "the column to sort by")
_DIRECTION = Parameter("direction", "ascending or descending", choices=("a", "d"))

USER = _GET("user", path="/one/user", description="who is signed in and may do what (personal data)", source="recorded")
ACCOUNTS = _GET(
    "accounts",
    path="/portfolio/accounts",
    interval_s=5.0,
    description="the accounts the user may view",
    records_path="",
    needs_warm_up=True,
)
SUBACCOUNTS = _GET(
    "subaccounts",
    path="/portfolio/subaccounts",
    interval_s=5.0,
    description="an advisor's accounts, 100 at most",
    records_path="",
)
SUBACCOUNTS2 = _GET(
    "subaccounts2",
    path="/portfolio/subaccounts2",
    description="an advisor's accounts, however many",
    records_path="subaccounts",
    pagination=Pagination.QUERY,
)
META = _GET("meta", path="/portfolio/{account}/meta", description="what kind of account it is")
SUMMARY = _GET("summary", path="/portfolio/{account}/summary", description="balances and margins")
LEDGER = _GET("ledger", path="/portfolio/{account}/ledger", description="cash by currency")
ALLOCATION = _GET(
    "allocation",
    path="/portfolio/{account}/allocation",
    description="value by asset class, sector and group",
    parameters=(MODEL,),
)
CONSOLIDATED_ALLOCATION = Endpoint(
    "consolidated_allocation",
    "POST",
    "/portfolio/allocation",
    Tier.PORTFOLIO,
    RequestKind.READ,
    description="value by asset class, sector and group, of all accounts together",
    parameters=(ACCT_IDS,),
)
POSITIONS = _GET(
    "positions",
    path="/portfolio/{account}/positions/{page}",
    description="all positions, from IBKR's cache",
    parameters=(
        MODEL,
        _SORT,
        _DIRECTION,
        Parameter("period", "the time its profit and loss is about", choices=("1D", "7D", "1M")),
        Parameter("waitForSecDef", "whether to wait for the contracts' details", type=ParamType.BOOLEAN),
    ),
    records_path="",
    pagination=Pagination.PATH,
    needs_warm_up=True,
)
POSITIONS2 = _GET(
    "positions2",
    path="/portfolio2/{account}/positions",
    description="all positions, fresh, with fewer details",
    parameters=(MODEL, _SORT, _DIRECTION),
    records_path="",
    source="oas",
)
POSITION = _GET(
    "position",
    path="/portfolio/{account}/position/{conid}",
    description="the position in one contract",
    parameters=(CONID_IN_PATH,),
    records_path="",
)
POSITIONS_BY_CONID = _GET(
    "positions_by_conid",
    path="/portfolio/positions/{conid}",
    description="the positions in one contract, of all accounts",
    parameters=(CONID_IN_PATH,),
)
COMBOS = _GET(
    "combos",
    path="/portfolio/{account}/combo/positions",
    description="combination positions with their legs",
    parameters=(Parameter("nocache", "whether IBKR shall not answer from its cache", type=ParamType.BOOLEAN),),
    records_path="",
)

ENDPOINTS = (
    USER,
    ACCOUNTS,
    SUBACCOUNTS,
    SUBACCOUNTS2,
    META,
    SUMMARY,
    LEDGER,
    ALLOCATION,
    CONSOLIDATED_ALLOCATION,
    POSITIONS,
    POSITIONS2,
    POSITION,
    POSITIONS_BY_CONID,
    COMBOS,
    _GET(
        "signatures_and_owners",
        path="/acesws/{account}/signatures-and-owners",
        description="who owns the account (personal data)",
        records_path="users",
    ),
)
