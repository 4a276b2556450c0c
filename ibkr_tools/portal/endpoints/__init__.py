"""The one table of what may be sent to IBKR; what is not listed here cannot leave the process.

Client, command line, help and documentation draw from it. Sources: IBKR Campus "Web API v1.0 Documentation" (paths,
pacing), IBKR's published schema, recordings of public projects. The tier of each family is IBKR's principle that
/portfolio needs no brokerage session.
"""

from ibkr_tools.portal.endpoints import (
    advisor,
    brokerage_accounts,
    contracts,
    market_data,
    portfolio,
    portfolio_analyst,
    session_control,
    watchlists_and_alerts,
)
from ibkr_tools.portal.endpoints.brokerage_accounts import BROKERAGE_ACCOUNTS
from ibkr_tools.portal.endpoints.endpoint import (
    Endpoint,
    Pagination,
    Parameter,
    ParamIn,
    ParamType,
    RequestKind,
    Scope,
    Tier,
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
from ibkr_tools.portal.endpoints.portfolio_analyst import PERFORMANCE
from ibkr_tools.portal.endpoints.session_control import AUTH_STATUS, REAUTHENTICATE, SSODH_INIT, TICKLE, VALIDATE
from ibkr_tools.portal.endpoints.websocket_topics import TIC, WEBSOCKET_TOPICS, WebSocketTopic

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
    "SNAPSHOT_RESOURCES",
    "SSODH_INIT",
    "SUBACCOUNTS",
    "SUBACCOUNTS2",
    "SUMMARY",
    "TIC",
    "TICKLE",
    "USER",
    "VALIDATE",
    "WEBSOCKET_TOPICS",
    "Endpoint",
    "Pagination",
    "ParamIn",
    "ParamType",
    "Parameter",
    "RequestKind",
    "Scope",
    "Tier",
    "WebSocketTopic",
    "is_account_number",
]

FAMILIES: dict[str, tuple[Endpoint, ...]] = {
    "Session": session_control.ENDPOINTS,
    "Portfolio": portfolio.ENDPOINTS,
    "PortfolioAnalyst": portfolio_analyst.ENDPOINTS,
    "Brokerage accounts and orders": brokerage_accounts.ENDPOINTS,
    "Market data": market_data.ENDPOINTS,
    "Contracts": contracts.ENDPOINTS,
    "Watchlists, alerts, notifications": watchlists_and_alerts.ENDPOINTS,
    "Financial advisors": advisor.ENDPOINTS,
}

ENDPOINTS: tuple[Endpoint, ...] = tuple(endpoint for family in FAMILIES.values() for endpoint in family)

READS: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in ENDPOINTS if endpoint.kind is RequestKind.READ}
"""What a person can ask for, by name."""

SNAPSHOT_RESOURCES: tuple[str, ...] = tuple(
    name for name, endpoint in READS.items() if not any(parameter.required for parameter in endpoint.user_parameters)
)
"""The names of the reads that need no parameter: what `fetch.resources` of the configuration may list."""
