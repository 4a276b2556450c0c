"""Reads of the first version of the API (`/ccp`), which IBKR no longer documents and may have switched off."""

from functools import partial

from ibkr_tools.portal.endpoints.endpoint import Endpoint, Parameter, RequestKind, Tier

_GET = partial(Endpoint, method="GET", tier=Tier.BROKERAGE, kind=RequestKind.READ, source="swagger")

_ACCOUNT = Parameter("acct", "the account")

ENDPOINTS = (
    _GET("ccp_status", path="/ccp/status", description="how the brokerage session was (old)"),
    _GET("ccp_account", path="/ccp/account", description="the accounts (old)"),
    _GET("ccp_accounts", path="/ccp/accounts", description="the accounts (old)"),
    _GET("ccp_positions", path="/ccp/positions", description="the positions (old)"),
    _GET("ccp_orders", path="/ccp/orders", description="the orders (old)", parameters=(_ACCOUNT,)),
    _GET("ccp_trades", path="/ccp/trades", description="the trades (old)"),
)
