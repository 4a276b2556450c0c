"""Reads of the portfolio tier: accounts, balances, positions, PortfolioAnalyst. No brokerage session is needed."""

from ibkr_tools.portal.endpoints.model import Endpoint, Kind, Pages, Tier

USER = Endpoint(
    "user", "GET", "/one/user", Tier.PORTFOLIO, Kind.READ, gives="who is signed in and may do what", source="recorded"
)
ACCOUNTS = Endpoint(
    "accounts",
    "GET",
    "/portfolio/accounts",
    Tier.PORTFOLIO,
    Kind.READ,
    5.0,
    gives="the accounts the user may view",
    rows="",
    may_be_cold=True,
)
SUMMARY = Endpoint(
    "summary", "GET", "/portfolio/{account}/summary", Tier.PORTFOLIO, Kind.READ, gives="balances and margins"
)
LEDGER = Endpoint("ledger", "GET", "/portfolio/{account}/ledger", Tier.PORTFOLIO, Kind.READ, gives="cash by currency")
ALLOCATION = Endpoint(
    "allocation",
    "GET",
    "/portfolio/{account}/allocation",
    Tier.PORTFOLIO,
    Kind.READ,
    gives="value by asset class, sector and group",
)
POSITIONS = Endpoint(
    "positions",
    "GET",
    "/portfolio/{account}/positions/{page}",
    Tier.PORTFOLIO,
    Kind.READ,
    gives="all positions, page by page",
    rows="",
    pages=Pages.PATH,
    may_be_cold=True,
)

ENDPOINTS = (USER, ACCOUNTS, SUMMARY, LEDGER, ALLOCATION, POSITIONS)
