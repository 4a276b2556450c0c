"""The one table of what may be sent to IBKR; what is not listed here cannot leave the process.

Client, command line, help and documentation draw from it. Sources: IBKR Campus "Web API v1.0 Documentation" (paths,
pacing), IBKR's published schema, recordings of public projects. The tier of each family is IBKR's principle that
/portfolio needs no brokerage session.
"""

from ibkr_tools.portal.endpoints import (
    advisor,
    analyst,
    brokerage,
    contracts,
    legacy,
    lists,
    market,
    portfolio,
    session,
)
from ibkr_tools.portal.endpoints.analyst import PERFORMANCE
from ibkr_tools.portal.endpoints.brokerage import BROKERAGE_ACCOUNTS
from ibkr_tools.portal.endpoints.model import (
    Endpoint,
    Kind,
    Pages,
    Parameter,
    Place,
    Scope,
    Tier,
    Type,
    is_account_number,
)
from ibkr_tools.portal.endpoints.portfolio import (
    ACCOUNTS,
    ALLOCATION,
    LEDGER,
    POSITIONS,
    POSITIONS2,
    SUBACCOUNTS,
    SUBACCOUNTS2,
    SUMMARY,
    USER,
)
from ibkr_tools.portal.endpoints.session import AUTH_STATUS, REAUTHENTICATE, SSODH_INIT, TICKLE, VALIDATE
from ibkr_tools.portal.endpoints.topics import TIC, TOPICS, Topic

__all__ = [
    "ACCOUNTS",
    "ALLOCATION",
    "AUTH_STATUS",
    "BROKERAGE_ACCOUNTS",
    "ENDPOINTS",
    "FAMILIES",
    "LEDGER",
    "PERFORMANCE",
    "POSITIONS",
    "POSITIONS2",
    "READS",
    "REAUTHENTICATE",
    "SSODH_INIT",
    "SUBACCOUNTS",
    "SUBACCOUNTS2",
    "SUMMARY",
    "TIC",
    "TICKLE",
    "TOPICS",
    "USER",
    "VALIDATE",
    "Endpoint",
    "Kind",
    "Pages",
    "Parameter",
    "Place",
    "Scope",
    "Tier",
    "Topic",
    "Type",
    "is_account_number",
]

FAMILIES: dict[str, tuple[Endpoint, ...]] = {
    "Session": session.ENDPOINTS,
    "Portfolio": portfolio.ENDPOINTS,
    "PortfolioAnalyst": analyst.ENDPOINTS,
    "Brokerage accounts and orders": brokerage.ENDPOINTS,
    "Market data": market.ENDPOINTS,
    "Contracts": contracts.ENDPOINTS,
    "Watchlists, alerts, notifications": lists.ENDPOINTS,
    "Financial advisors": advisor.ENDPOINTS,
    "First version of the API": legacy.ENDPOINTS,
}

ENDPOINTS: tuple[Endpoint, ...] = tuple(one for family in FAMILIES.values() for one in family)

READS: dict[str, Endpoint] = {one.name: one for one in ENDPOINTS if one.kind is Kind.READ}
"""What a person can ask for, by name."""
