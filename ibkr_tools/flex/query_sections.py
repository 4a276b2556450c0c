"""What a Flex query should contain, in the words of IBKR's form, and what a statement shows that it lacks. Pure."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

QUERY_FORM = "Client Portal, Performance & Reports > Flex Queries"


@dataclass(frozen=True)
class QuerySection:
    """A section of an activity query.

    `form_name` is its name in IBKR's form, `element` that of its part of the statement, `row` that of its rows.
    `options` are what to tick besides its fields. `fields` are the attributes that checks and figures rest on.
    `is_always_there`: every account has rows in it on every day, so that it is not ticked where there are none.
    """

    form_name: str
    element: str
    row: str
    fields: tuple[str, ...] = ()
    options: str = ""
    is_always_there: bool = False


_INSTRUMENT = ("currency", "fxRateToBase", "assetCategory", "symbol", "conid", "isin", "multiplier")

SECTIONS = (
    QuerySection(
        "Account Information", "AccountInformation", "AccountInformation", ("currency",), is_always_there=True
    ),
    QuerySection(
        "Net Asset Value (NAV) in Base",
        "EquitySummaryInBase",
        "EquitySummaryByReportDateInBase",
        ("reportDate", "cash", "stock", "total"),
        is_always_there=True,
    ),
    QuerySection(
        "Change in NAV",
        "ChangeInNAV",
        "ChangeInNAV",
        ("fromDate", "toDate", "startingValue", "depositsWithdrawals", "dividends", "endingValue", "twr"),
        is_always_there=True,
    ),
    QuerySection(
        "Cash Report",
        "CashReport",
        "CashReportCurrency",
        ("currency", "startingCash", "depositWithdrawals", "endingCash"),
        is_always_there=True,
    ),
    QuerySection(
        "Open Positions",
        "OpenPositions",
        "OpenPosition",
        (*_INSTRUMENT, "reportDate", "position", "markPrice", "positionValue", "costBasisMoney", "levelOfDetail"),
        options="Summary and Lot",
    ),
    QuerySection(
        "Trades",
        "Trades",
        "Trade",
        (
            *_INSTRUMENT,
            *("transactionID", "tradeID", "transactionType", "tradeDate", "dateTime", "reportDate", "settleDateTarget"),
            *("buySell", "quantity", "tradePrice", "proceeds", "taxes", "ibCommission", "ibCommissionCurrency"),
            *("netCash", "fifoPnlRealized", "notes", "levelOfDetail"),
        ),
        options="Execution and Closed Lots",
    ),
    QuerySection(
        "Cash Transactions",
        "CashTransactions",
        "CashTransaction",
        (
            *("currency", "fxRateToBase", "conid", "description", "transactionID", "type", "amount"),
            *("dateTime", "settleDate", "reportDate", "levelOfDetail"),
        ),
        options="all types, and Detail alone",
    ),
    QuerySection(
        "Corporate Actions",
        "CorporateActions",
        "CorporateAction",
        (
            *_INSTRUMENT,
            *("transactionID", "actionID", "type", "reportDate", "quantity", "amount", "proceeds", "value"),
        ),
        options="Detail",
    ),
    QuerySection(
        "Transfers",
        "Transfers",
        "Transfer",
        (
            *_INSTRUMENT,
            *("transactionID", "type", "direction", "reportDate", "quantity", "positionAmountInBase", "cashTransfer"),
        ),
    ),
    QuerySection("Change in Dividend Accruals", "ChangeInDividendAccruals", "ChangeInDividendAccrual"),
    QuerySection("Open Dividend Accruals", "OpenDividendAccruals", "OpenDividendAccrual"),
    QuerySection("Interest Accruals", "InterestAccruals", "InterestAccrualsCurrency"),
    QuerySection("Option Exercises/Assignments/Expirations", "OptionEAE", "OptionEAE"),
    QuerySection("Transaction Fees", "TransactionTaxes", "TransactionTax"),
    QuerySection("Sales Tax", "SalesTaxes", "SalesTax"),
    QuerySection("Forex P/L Details", "FxTransactions", "FxTransaction"),
    QuerySection("Forex Balances", "FxPositions", "FxPosition"),
    QuerySection("Financial Instrument Information", "SecuritiesInfo", "SecurityInfo"),
    QuerySection(
        "Base Currency Exchange Rate",
        "ConversionRates",
        "ConversionRate",
        ("reportDate", "fromCurrency", "toCurrency", "rate"),
        is_always_there=True,
    ),
    QuerySection("Statement of Funds", "StmtFunds", "StatementOfFundsLine", options="Currency level"),
)
"""The sections that a query should have; others are kept, and nothing is made of them."""

_FORM_NAMES = {
    "accountId": "Client Account ID",
    "assetCategory": "AssetClass",
    "buySell": "Buy/Sell",
    "conid": "Conid",
    "currency": "CurrencyPrimary",
    "dateTime": "Date/Time",
    "fxRateToBase": "FXRateToBase",
    "ibCommission": "IB Commission",
    "ibCommissionCurrency": "IB Commission Currency",
    "isin": "ISIN",
    "notes": "Notes/Codes",
    "position": "Quantity",
}
"""Fields whose names in IBKR's form are others than in the statement."""


def form_name(attribute: str) -> str:
    """Returns what IBKR's form calls a field: `TradePrice` for `tradePrice`, but for those with other names."""
    return _FORM_NAMES.get(attribute) or attribute[:1].upper() + attribute[1:]


def missing_from_query(attributes: Mapping[str, AbstractSet[str]]) -> list[str]:
    """Returns what the query that made a statement lacks, in lines that say what to tick.

    A field is only missed where its section has rows: one without rows shows no fields.

    Args:
        attributes: the names of all attributes seen, by the element of their rows.
    """
    unticked = [section.form_name for section in SECTIONS if section.is_always_there and section.row not in attributes]
    lines = [f"not ticked: {', '.join(unticked)}"] if unticked else []
    for section in SECTIONS:
        if seen := attributes.get(section.row):
            missing = [form_name(name) for name in section.fields if name not in seen]
            lines += [f"{section.form_name} without {', '.join(missing)}"] if missing else []
    return lines


def not_shown(sections: AbstractSet[str]) -> list[str]:
    """Returns the sections that the statement does not have, as the form calls them.

    They are not ticked, or nothing happened: a statement does not say which.
    """
    return [
        section.form_name for section in SECTIONS if not section.is_always_there and section.element not in sections
    ]
