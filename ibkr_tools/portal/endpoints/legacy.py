"""Reads of the first version of the API (`/ccp`), which IBKR no longer documents and may have switched off."""

from functools import partial

from ibkr_tools.portal.endpoints.model import Endpoint, Kind, Parameter, Tier

_GET = partial(Endpoint, method="GET", tier=Tier.BROKERAGE, kind=Kind.READ, source="swagger")

_ACCOUNT = Parameter("acct", "the account")

ENDPOINTS = (
    _GET("ccp_status", path="/ccp/status", gives="how the brokerage session was (old)"),
    _GET("ccp_account", path="/ccp/account", gives="the accounts (old)"),
    _GET("ccp_accounts", path="/ccp/accounts", gives="the accounts (old)"),
    _GET("ccp_positions", path="/ccp/positions", gives="the positions (old)"),
    _GET("ccp_orders", path="/ccp/orders", gives="the orders (old)", parameters=(_ACCOUNT,)),
    _GET("ccp_trades", path="/ccp/trades", gives="the trades (old)"),
)
