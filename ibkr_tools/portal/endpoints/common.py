"""Parameters that several endpoints share."""

from ibkr_tools.portal.endpoints.model import Parameter, Place, Type

ACCT_IDS = Parameter("acctIds", "the accounts, all in one answer", Place.BODY, Type.LIST, required=True)
CONID = Parameter("conid", "the contract", type=Type.INTEGER, required=True)
CONID_IN_PATH = Parameter("conid", "the contract", Place.PATH, Type.INTEGER, required=True)
EXCHANGE = Parameter("exchange", "where it is traded")
MODEL = Parameter("model", "only what belongs to this model portfolio")
OUTSIDE_RTH = Parameter("outsideRth", "with the hours outside the regular session", type=Type.BOOLEAN)
SYMBOLS = Parameter("symbols", "the symbols", type=Type.LIST, required=True)
