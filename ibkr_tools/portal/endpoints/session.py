"""Calls that keep the session alive or control it. None of them touches orders, settings or money."""

from ibkr_tools.portal.endpoints.model import Endpoint, Kind, Parameter, Place, Tier, Type

TICKLE = Endpoint(
    "tickle", "POST", "/tickle", Tier.PORTFOLIO, Kind.KEEPALIVE, 1.0, gives="both tiers, and a longer life of them"
)
VALIDATE = Endpoint(
    "validate", "GET", "/sso/validate", Tier.PORTFOLIO, Kind.KEEPALIVE, 60.0, gives="whether the portfolio tier lives"
)
AUTH_STATUS = Endpoint(
    "auth_status", "POST", "/iserver/auth/status", Tier.PORTFOLIO, Kind.KEEPALIVE, gives="how the brokerage tier is"
)
SSODH_INIT = Endpoint(
    "ssodh_init",
    "POST",
    "/iserver/auth/ssodh/init",
    Tier.PORTFOLIO,
    Kind.SESSION,
    gives="the brokerage tier, opened",
    parameters=(
        Parameter("publish", "always true", Place.BODY, Type.BOOLEAN, required=True),
        Parameter("compete", "whether to end the session that has it", Place.BODY, Type.BOOLEAN, required=True),
    ),
)
REAUTHENTICATE = Endpoint(
    "reauthenticate",
    "POST",
    "/iserver/reauthenticate",
    Tier.PORTFOLIO,
    Kind.SESSION,
    gives="the brokerage tier, opened by the gateway itself",
    source="gateway",
)

ENDPOINTS = (TICKLE, VALIDATE, AUTH_STATUS, SSODH_INIT, REAUTHENTICATE)
