"""Reads of the portfolio tier: accounts, balances, positions. No brokerage session is needed."""

from functools import partial

from ibkr_tools.portal.endpoints.common import ACCT_IDS, CONID_IN_PATH, MODEL
from ibkr_tools.portal.endpoints.model import Endpoint, Kind, Pages, Parameter, Tier, Type

_GET = partial(Endpoint, method="GET", tier=Tier.PORTFOLIO, kind=Kind.READ)

_SORT = Parameter("sort", "the column to sort by")
_DIRECTION = Parameter("direction", "ascending or descending", choices=("a", "d"))

USER = _GET("user", path="/one/user", gives="who is signed in and may do what (personal data)", source="recorded")
ACCOUNTS = _GET(
    "accounts",
    path="/portfolio/accounts",
    interval_s=5.0,
    gives="the accounts the user may view",
    rows="",
    may_be_cold=True,
)
SUBACCOUNTS = _GET(
    "subaccounts",
    path="/portfolio/subaccounts",
    interval_s=5.0,
    gives="an advisor's accounts, 100 at most",
    rows="",
)
SUBACCOUNTS2 = _GET(
    "subaccounts2",
    path="/portfolio/subaccounts2",
    gives="an advisor's accounts, however many",
    rows="subaccounts",
    pages=Pages.QUERY,
)
META = _GET("meta", path="/portfolio/{account}/meta", gives="what kind of account it is")
SUMMARY = _GET("summary", path="/portfolio/{account}/summary", gives="balances and margins")
LEDGER = _GET("ledger", path="/portfolio/{account}/ledger", gives="cash by currency")
ALLOCATION = _GET(
    "allocation",
    path="/portfolio/{account}/allocation",
    gives="value by asset class, sector and group",
    parameters=(MODEL,),
)
CONSOLIDATED_ALLOCATION = Endpoint(
    "consolidated_allocation",
    "POST",
    "/portfolio/allocation",
    Tier.PORTFOLIO,
    Kind.READ,
    gives="value by asset class, sector and group, of all accounts together",
    parameters=(ACCT_IDS,),
)
POSITIONS = _GET(
    "positions",
    path="/portfolio/{account}/positions/{page}",
    gives="all positions, from IBKR's cache",
    parameters=(
        MODEL,
        _SORT,
        _DIRECTION,
        Parameter("period", "the time its profit and loss is about", choices=("1D", "7D", "1M")),
        Parameter("waitForSecDef", "whether to wait for the contracts' details", type=Type.BOOLEAN),
    ),
    rows="",
    pages=Pages.PATH,
    may_be_cold=True,
)
POSITIONS2 = _GET(
    "positions2",
    path="/portfolio2/{account}/positions",
    gives="all positions, fresh, with fewer details",
    parameters=(MODEL, _SORT, _DIRECTION),
    rows="",
    source="oas",
)
POSITION = _GET(
    "position",
    path="/portfolio/{account}/position/{conid}",
    gives="the position in one contract",
    parameters=(CONID_IN_PATH,),
    rows="",
)
POSITIONS_BY_CONID = _GET(
    "positions_by_conid",
    path="/portfolio/positions/{conid}",
    gives="the positions in one contract, of all accounts",
    parameters=(CONID_IN_PATH,),
)
COMBOS = _GET(
    "combos",
    path="/portfolio/{account}/combo/positions",
    gives="combination positions with their legs",
    parameters=(Parameter("nocache", "whether IBKR shall not answer from its cache", type=Type.BOOLEAN),),
    rows="",
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
        gives="who owns the account (personal data)",
        rows="users",
    ),
    _GET(
        "entity_info",
        path="/ibcust/entity/info",
        gives="who the customer is (personal data; an old endpoint)",
        source="swagger",
    ),
)
