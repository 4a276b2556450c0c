"""Reads of PortfolioAnalyst: end-of-day data, one call each in 15 minutes, for any number of accounts at once.

`/pa/allperiods` is in no list of limits; its siblings' holds for it too.
"""

from functools import partial

from ibkr_tools.portal.endpoints.endpoint import Endpoint, Parameter, ParamIn, ParamType, RequestKind, Tier
from ibkr_tools.portal.endpoints.shared_parameters import ACCT_IDS

_POST = partial(Endpoint, method="POST", tier=Tier.PORTFOLIO, kind=RequestKind.READ, interval_s=900.0)

PERFORMANCE = _POST(
    "performance",
    path="/pa/performance",
    description="values and returns, day by day",
    parameters=(
        ACCT_IDS,
        Parameter(
            "period",
            "the time up to now",
            ParamIn.BODY,
            choices=("1D", "7D", "MTD", "1M", "YTD", "1Y"),
            default="1Y",
        ),
    ),
)
PERIODS = _POST(
    "periods", path="/pa/allperiods", description="values and returns of all periods", parameters=(ACCT_IDS,)
)
TRANSACTIONS = _POST(
    "transactions",
    path="/pa/transactions",
    description="trades, dividends and transfers in one contract",
    parameters=(
        ACCT_IDS,
        Parameter("conids", "the contract; IBKR takes one", ParamIn.BODY, ParamType.INTEGERS, required=True),
        Parameter("currency", "the currency of the amounts", ParamIn.BODY, default="USD"),
        Parameter("days", "how many days back", ParamIn.BODY, ParamType.INTEGER, default="90"),
    ),
    records_path="transactions",
)

ENDPOINTS = (PERFORMANCE, PERIODS, TRANSACTIONS)
