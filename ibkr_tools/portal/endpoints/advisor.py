"""Reads for financial advisors: allocation groups and model portfolios; many of them are POST."""

from functools import partial

from ibkr_tools.portal.endpoints.model import Endpoint, Kind, Parameter, Place, Tier, Type

_GET = partial(Endpoint, method="GET", tier=Tier.BROKERAGE, kind=Kind.READ)
_POST = partial(Endpoint, method="POST", tier=Tier.BROKERAGE, kind=Kind.READ)

_REQ_ID = Parameter("reqID", "a number of the caller's own", Place.BODY, Type.INTEGER, default="1")
_MODEL = Parameter("model", "the model's name, as models spells it", Place.BODY, required=True)

ENDPOINTS = (
    _GET(
        "allocation_accounts",
        path="/iserver/account/allocation/accounts",
        gives="the accounts an advisor may allocate to",
        rows="accounts",
    ),
    _GET(
        "allocation_groups",
        path="/iserver/account/allocation/group",
        gives="the allocation groups",
        rows="data",
    ),
    _POST(
        "allocation_group",
        path="/iserver/account/allocation/group/single",
        gives="one allocation group",
        parameters=(Parameter("name", "the group's name", Place.BODY, required=True),),
        rows="accounts",
    ),
    _GET(
        "allocation_presets",
        path="/iserver/account/allocation/presets",
        gives="how orders are allocated by default",
    ),
    _POST(
        "model_presets",
        path="/fa/fa-preset/get",
        gives="how models are rebalanced by default",
        parameters=(_REQ_ID,),
        source="oas",
    ),
    _POST(
        "models",
        path="/fa/model/list",
        gives="the model portfolios",
        parameters=(_REQ_ID,),
        rows="models",
        source="oas",
    ),
    _POST(
        "model_positions",
        path="/fa/model/positions",
        gives="the positions of a model, with their targets",
        parameters=(
            _REQ_ID,
            _MODEL,
            Parameter("sortField", "the column to sort by", Place.BODY),
            Parameter("sortDirection", "ascending or descending", Place.BODY, choices=("ASC", "DESC")),
            Parameter("limit", "how many at most", Place.BODY, Type.INTEGER),
        ),
        rows="positionList",
        source="oas",
    ),
    _POST(
        "model_summary",
        path="/fa/model/summary",
        gives="one model in few numbers",
        parameters=(_REQ_ID, _MODEL),
        source="oas",
    ),
    _POST(
        "model_accounts",
        path="/fa/model/accounts-details",
        gives="the accounts in a model",
        parameters=(_REQ_ID, _MODEL, Parameter("calcPnls", "with profit and loss", Place.BODY, Type.BOOLEAN)),
        rows="accountInfoList",
        source="oas",
    ),
    _POST(
        "model_investments",
        path="/fa/model/invest-divest-positions",
        gives="what each account has in a model and beside it",
        parameters=(_REQ_ID, _MODEL),
        rows="accountList",
        source="oas",
    ),
)
