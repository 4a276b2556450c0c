"""Calls that keep the session alive or control it. None of them touches orders, settings or money."""

from ibkr_tools.portal.endpoints.endpoint import Endpoint, Parameter, ParamIn, ParamType, RequestKind, Tier

TICKLE = Endpoint(
    "tickle",
    "POST",
    "/tickle",
    Tier.PORTFOLIO,
    RequestKind.KEEPALIVE,
    1.0,
    description="both tiers, and a longer life of them",
)
VALIDATE = Endpoint(
    "validate",
    "GET",
    "/sso/validate",
    Tier.PORTFOLIO,
    RequestKind.KEEPALIVE,
    60.0,
    description="whether the portfolio tier lives",
)
AUTH_STATUS = Endpoint(
    "auth_status",
    "POST",
    "/iserver/auth/status",
    Tier.PORTFOLIO,
    RequestKind.KEEPALIVE,
    description="how the brokerage tier is",
)
SSODH_INIT = Endpoint(
    "ssodh_init",
    "POST",
    "/iserver/auth/ssodh/init",
    Tier.PORTFOLIO,
    RequestKind.SESSION,
    description="the brokerage tier, opened",
    parameters=(
        Parameter("publish", "always true", ParamIn.BODY, ParamType.BOOLEAN, required=True),
        Parameter("compete", "whether to end the session that has it", ParamIn.BODY, ParamType.BOOLEAN, required=True),
    ),
)
REAUTHENTICATE = Endpoint(
    "reauthenticate",
    "POST",
    "/iserver/reauthenticate",
    Tier.PORTFOLIO,
    RequestKind.SESSION,
    description="the brokerage tier, opened by the gateway itself",
    source="gateway",
)

ENDPOINTS = (TICKLE, VALIDATE, AUTH_STATUS, SSODH_INIT, REAUTHENTICATE)
