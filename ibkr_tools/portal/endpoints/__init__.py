"""The one table of what may be sent to IBKR; what is not listed here cannot leave the process.

Client, command line, help and documentation draw from it. Sources: IBKR Campus "Web API v1.0 Documentation" (paths,
pacing), IBKR's published schema, recordings of public projects. The tier of each family is IBKR's principle that
/portfolio needs no brokerage session.
"""

from ibkr_tools.portal.endpoints import portfolio, session
from ibkr_tools.portal.endpoints.model import Endpoint, Kind, Pages, Parameter, Place, Scope, Tier, Type
from ibkr_tools.portal.endpoints.portfolio import ACCOUNTS, ALLOCATION, LEDGER, POSITIONS, SUMMARY, USER
from ibkr_tools.portal.endpoints.session import AUTH_STATUS, REAUTHENTICATE, SSODH_INIT, TICKLE, VALIDATE

__all__ = [
    "ACCOUNTS",
    "ALLOCATION",
    "AUTH_STATUS",
    "ENDPOINTS",
    "LEDGER",
    "POSITIONS",
    "READS",
    "REAUTHENTICATE",
    "SSODH_INIT",
    "SUMMARY",
    "TICKLE",
    "USER",
    "VALIDATE",
    "Endpoint",
    "Kind",
    "Pages",
    "Parameter",
    "Place",
    "Scope",
    "Tier",
    "Type",
]

ENDPOINTS: tuple[Endpoint, ...] = (*session.ENDPOINTS, *portfolio.ENDPOINTS)

READS: dict[str, Endpoint] = {one.name: one for one in ENDPOINTS if one.kind is Kind.READ}
"""What a person can ask for, by name."""
