"""Reads for financial advisors: allocation groups and model portfolios; many of them are POST."""

from functools import partial

from ibkr_tools.portal.endpoints.endpoint import Endpoint, Parameter, ParamIn, ParamType, RequestKind, Tier

_GET = partial(Endpoint, method="GET", tier=Tier.BROKERAGE, kind=RequestKind.READ)
_POST = partial(Endpoint, method="POST", tier=Tier.BROKERAGE, kind=RequestKind.READ)

_REQ_ID = Parameter("reqID", "a number of the caller's own", ParamIn.BODY, ParamType.INTEGER, default="1")
_MODEL = Parameter("model", "the model's name, as models spells it", ParamIn.BODY, required=True)

ENDPOINTS = (
    _GET(
        "allocation_accounts",
        path="/iserver/account/allocation/accounts",
        description="the accounts an advisor may allocate to",
        records_path="accounts",
    ),
    _GET(
        "allocation_groups",
        path="/iserver/account/allocation/group",
        description="the allocation groups",
        records_path="data",
    ),
    _POST(
        "allocation_group",
        path="/iserver/account/allocation/group/single",
        description="one allocation group",
        parameters=(Parameter("name", "the group's name", ParamIn.BODY, required=True),),
        records_path="accounts",
    ),
    _GET(
        "allocation_presets",
        path="/iserver/account/allocation/presets",
        description="how orders are allocated by default",
    ),
    _POST(
        "model_presets",
        path="/fa/fa-preset/get",
        description="how models are rebalanced by default",
        parameters=(_REQ_ID,),
        source="oas",
    ),
    _POST(
        "models",
        path="/fa/model/list",
        description="the model portfolios",
        parameters=(_REQ_ID,),
        records_path="models",
        source="oas",
    ),
    _POST(
        "model_positions",
        path="/fa/model/positions",
        description="the positions of a model, with their targets",
        parameters=(
            _REQ_ID,
            _MODEL,
            Parameter("sortField", "the column to sort by", ParamIn.BODY),
            Parameter("sortDirection", "ascending or descending", ParamIn.BODY, choices=("ASC", "DESC")),
            Parameter("limit", "how many at most", ParamIn.BODY, ParamType.INTEGER),
        ),
        records_path="positionList",
        source="oas",
    ),
    _POST(
        "model_summary",
        path="/fa/model/summary",
        description="one model in few numbers",
        parameters=(_REQ_ID, _MODEL),
        source="oas",
    ),
    _POST(
        "model_accounts",
        path="/fa/model/accounts-details",
        description="the accounts in a model",
        parameters=(_REQ_ID, _MODEL, Parameter("calcPnls", "with profit and loss", ParamIn.BODY, ParamType.BOOLEAN)),
        records_path="accountInfoList",
        source="oas",
    ),
    _POST(
        "model_investments",
        path="/fa/model/invest-divest-positions",
        description="what each account has in a model and beside it",
        parameters=(_REQ_ID, _MODEL),
        records_path="accountList",
        source="oas",
    ),
)
