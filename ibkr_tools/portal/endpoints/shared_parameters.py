"""Parameters that several endpoints share."""

from ibkr_tools.portal.endpoints.endpoint import Parameter, ParamIn, ParamType

ACCT_IDS = Parameter("acctIds", "the accounts, all in one answer", ParamIn.BODY, ParamType.LIST, required=True)
CONID = Parameter("conid", "the contract", type=ParamType.INTEGER, required=True)
CONID_IN_PATH = Parameter("conid", "the contract", ParamIn.PATH, ParamType.INTEGER, required=True)
EXCHANGE = Parameter("exchange", "where it is traded")
MODEL = Parameter("model", "only what belongs to this model portfolio")
OUTSIDE_RTH = Parameter("outsideRth", "with the hours outside the regular session", type=ParamType.BOOLEAN)
SYMBOLS = Parameter("symbols", "the symbols", type=ParamType.LIST, required=True)
