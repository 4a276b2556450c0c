"""Every endpoint and WebSocket topic of IBKR's Web API, and what it does: what the product's table is judged by.

Written from IBKR's documentation and published schema, the gateway's own program and recordings of public projects,
and from nothing in the product.
"""

from typing import NamedTuple

__all__ = ["ENDPOINTS", "TOPICS_BLOCKED", "TOPICS_READ", "Row"]


class Row(NamedTuple):
    """One method and path under `/v1/api`.

    `kind`: R reads; K keeps the session alive; S controls the session; C controls a cache or a stream; W changes
    orders, settings, money or users; F costs a fee; G is the gateway's own, beside `/v1/api`; X is not reachable
    through the gateway and treated like W; D is a read that is not needed: another form of a read, or one that IBKR
    no longer documents, or answers with 404 for ever.

    `interval_s`: the least seconds between two calls, from IBKR's table of limits; 0 where it names none.

    `tier`: O where the portfolio session is enough (or likely is), B where the brokerage session is needed, - neither.
    """

    kind: str
    tier: str
    method: str
    path: str
    interval_s: float


# A number behind a path, as in `@5`, is its interval.
_TABLE = """
# Session and gateway
K O POST            /tickle@1
D O GET             /tickle
K O GET             /sso/validate@60
K O POST            /iserver/auth/status
D O GET             /iserver/auth/status
S O POST            /iserver/auth/ssodh/init
S O POST            /iserver/auth/ssodh/response
S O GET             /ssodh/init /ssodh/st
S O GET,POST        /iserver/reauthenticate
S O GET,POST        /logout
R O GET             /one/user
D O GET             /ibcust/entity/info
S O POST            /portfolio/validate
S O GET,POST        /ccp/auth/init /ccp/auth/response
D B GET             /ccp/status /ccp/account /ccp/accounts /ccp/positions /ccp/orders /ccp/trades
W B POST,PUT,DELETE /ccp/order
G - GET,POST        /clear /status /sso/Login /sso/Dispatcher /sso/ping /sso/Authenticator /demo/index.html /

# Portfolio and PortfolioAnalyst
R O GET             /portfolio/accounts@5 /portfolio/subaccounts@5 /portfolio/subaccounts2
R O GET             /portfolio/{a}/meta /portfolio/{a}/summary /portfolio/{a}/ledger /portfolio/{a}/allocation
R O GET             /portfolio/{a}/combo/positions /portfolio/{a}/positions/{page} /portfolio2/{a}/positions
R O GET             /portfolio/{a}/position/{conid} /portfolio/positions/{conid}
R O POST            /portfolio/allocation
C O POST            /portfolio/{a}/positions/invalidate
# /pa/allperiods is in no list of limits; its siblings' holds for it too.
R O POST            /pa/performance@900 /pa/allperiods@900 /pa/transactions@900
D O POST            /pa/summary
R O GET             /acesws/{a}/signatures-and-owners

# Brokerage accounts and orders
R B GET             /iserver/accounts
R B GET             /iserver/account/{a}/summary
R B GET             /iserver/account/{a}/summary/available_funds /iserver/account/{a}/summary/balances
R B GET             /iserver/account/{a}/summary/margins /iserver/account/{a}/summary/market_value
R B GET             /iserver/account/pnl/partitioned@5 /iserver/account/trades@5 /iserver/account/orders@5
R B GET             /iserver/account/order/status/{orderId} /iserver/account/search/{pattern}
W B POST            /iserver/account /iserver/dynaccount
W B POST            /iserver/account/{a}/orders /iserver/account/{a}/order /iserver/account/orders/{faGroup}
W B POST            /iserver/account/{a}/orders/whatif /iserver/account/{a}/order/whatif
W B POST,DELETE     /iserver/account/{a}/order/{orderId}
W B POST            /iserver/reply/{replyId} /iserver/notification
W B POST            /iserver/questions/suppress /iserver/questions/suppress/reset

# Alerts, watchlists
R B GET             /iserver/account/{a}/alerts /iserver/account/alert/{id} /iserver/account/mta
W B POST            /iserver/account/{a}/alert /iserver/account/{a}/alert/activate
W B DELETE          /iserver/account/{a}/alert/{id}
R B GET             /iserver/watchlists /iserver/watchlist
W B POST,DELETE     /iserver/watchlist

# Market data, scanners, contracts
R B GET             /iserver/marketdata/snapshot /iserver/marketdata/history
C B POST            /iserver/marketdata/unsubscribe
C B GET             /iserver/marketdata/unsubscribeall /iserver/marketdata/{conid}/unsubscribe
D B GET             /md/snapshot
F B GET             /md/regsnapshot
D B GET             /hmds/history
S B POST            /hmds/auth/init
D B POST            /hmds/scanner
R B GET             /iserver/scanner/params@900
R B POST            /iserver/scanner/run@1
R B GET             /iserver/secdef/search
D B POST            /iserver/secdef/search
R B GET             /iserver/secdef/info /iserver/secdef/strikes /iserver/secdef/bond-filters
R B GET             /iserver/contract/{conid}/info /iserver/contract/{conid}/info-and-rules
R B GET             /iserver/contract/{conid}/algos
R B POST            /iserver/contract/rules
R B GET             /iserver/currency/pairs /iserver/exchangerate
R O GET             /trsrv/secdef /trsrv/all-conids /trsrv/futures /trsrv/stocks /trsrv/secdef/schedule
D O POST            /trsrv/secdef
R O GET             /contract/trading-schedule
R O GET             /forecast/category/tree /forecast/contract/market /forecast/contract/rules
R O GET             /forecast/contract/details /forecast/contract/schedules
D O GET             /calendar/metadata
D O POST            /calendar/events

# Financial advisors
R B GET             /iserver/account/allocation/accounts /iserver/account/allocation/group
R B GET             /iserver/account/allocation/presets
R B POST            /iserver/account/allocation/group/single
W B POST,PUT        /iserver/account/allocation/group
W B POST            /iserver/account/allocation/group/delete /iserver/account/allocation/presets
R B POST            /fa/fa-preset/get /fa/model/list /fa/model/positions /fa/model/summary
R B POST            /fa/model/accounts-details /fa/model/invest-divest-positions
W B POST            /fa/fa-preset/save /fa/model/save /fa/model/invest-divest /fa/model/submit-transfers

# Notifications (FYI)
R O GET             /fyi/unreadnumber@1 /fyi/settings@1 /fyi/disclaimer/{typecode}@1 /fyi/deliveryoptions@1
R O GET             /fyi/notifications@1 /fyi/notifications/more@1
W O POST            /fyi/settings/{typecode} /fyi/deliveryoptions/device
W O PUT             /fyi/disclaimer/{typecode} /fyi/deliveryoptions/email /fyi/notifications/{id}
W O DELETE          /fyi/deliveryoptions/{deviceId}

# Account management and OAuth
X - GET,POST,PATCH  /gw/api/v1/accounts
X - GET             /gw/api/v1/accounts/status /gw/api/v1/accounts/login-messages /gw/api/v1/accounts/{a}/details
X - GET             /gw/api/v1/accounts/{a}/kyc /gw/api/v1/accounts/{a}/login-messages
X - GET,PATCH       /gw/api/v1/accounts/{a}/status
X - GET,POST,PATCH  /gw/api/v1/accounts/{a}/tasks
X - POST            /gw/api/v1/accounts/documents
X - POST            /gw/api/v1/balances/query /gw/api/v1/instructions/query
X - POST            /gw/api/v1/bank-instructions/query /gw/api/v1/external-cash-transfers/query
X - GET             /gw/api/v1/client-instructions/{id} /gw/api/v1/instruction-sets/{id}
X - GET             /gw/api/v1/instructions/{id} /gw/api/v1/participating-banks
X - POST            /gw/api/v1/bank-instructions /gw/api/v1/bank-instructions:bulk
X - POST            /gw/api/v1/external-asset-transfers /gw/api/v1/external-asset-transfers:bulk
X - POST            /gw/api/v1/external-cash-transfers /gw/api/v1/external-cash-transfers:bulk
X - POST            /gw/api/v1/internal-asset-transfers /gw/api/v1/internal-asset-transfers:bulk
X - POST            /gw/api/v1/internal-cash-transfers /gw/api/v1/internal-cash-transfers:bulk
X - POST            /gw/api/v1/instructions/cancel /gw/api/v1/instructions/cancel:bulk
X - GET             /gw/api/v1/statements/available /gw/api/v1/tax-documents/available
X - GET             /gw/api/v1/trade-confirmations/available
X - POST            /gw/api/v1/statements /gw/api/v1/tax-documents /gw/api/v1/trade-confirmations
X - GET             /gw/api/v1/enumerations/{type} /gw/api/v1/forms /gw/api/v1/forms/required-forms
X - GET             /gw/api/v1/requests /gw/api/v1/validations/usernames/{u} /gw/api/v1/echo/https
X - GET,PATCH       /gw/api/v1/requests/{id}/status
X - POST            /gw/api/v1/echo/signed-jwt /gw/api/v1/restrictions /gw/api/v1/restrictions/verify
X - POST            /gw/api/v1/sso-sessions /gw/api/v1/sso-browser-sessions
X - POST            /oauth/request_token /oauth/access_token /oauth/live_session_token /oauth2/api/v1/token
"""

ENDPOINTS = tuple(
    Row(kind, tier, method, path, float(interval or 0))
    for kind, tier, methods, *paths in (
        line.split() for line in _TABLE.splitlines() if line and not line.startswith("#")
    )
    for method in methods.split(",")
    for path, _, interval in (text.partition("@") for text in paths)
)

TOPICS_READ = (
    *("tic", "ech+hb", "ssd", "usd", "sld", "uld", "spl", "upl"),
    *("smd", "umd", "smh", "umh", "sbd", "ubd", "sor", "uor", "str", "utr"),
)
"""Topics that only listen, or say that somebody does."""

TOPICS_BLOCKED = (
    "shs+exercise",
    'shs+exercise+{"conid":265598,"quantity":1}',
    "inp+exercise",
    'inp+exercise+{"answer":true}',
    "shs",
    "inp",
)
"""Topics that exercise options and answer prompts."""
