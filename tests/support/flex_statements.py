"""Flex statements written by hand: one whole week of a small account whose figures add up, and ways to change them."""

import re
from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

ACCOUNT = "U1234567"

_SPECIAL = re.compile(r"[&<>\"\n\r\t]")

WHO = {"accountId": ACCOUNT, "acctAlias": "", "model": "", "currency": "USD", "fxRateToBase": "0.9"}

CASH_FIELDS = (
    *("clientFees", "commissions", "referralFee", "commissionCreditsRedemption", "billableCommissions"),
    *("depositWithdrawals", "deposits", "withdrawals", "accountTransfers", "internalTransfers", "dividends"),
    *("brokerInterest", "brokerFees", "bondInterest", "cashSettlingMtm", "realizedVm", "cfdCharges", "netTradesSales"),
    *("netTradesPurchases", "advisorFees", "paymentInLieu", "transactionTax", "withholdingTax", "salesTax"),
    *("fxTranslationGainLoss", "otherFees", "other"),
)

NAV_FIELDS = (
    *("mtm", "realized", "changeInUnrealized", "costAdjustments", "transferredPnlAdjustments", "depositsWithdrawals"),
    *("internalCashTransfers", "assetTransfers", "debitCardActivity", "billPay", "dividends", "withholdingTax"),
    *("withholding871m", "changeInDividendAccruals", "interest", "changeInInterestAccruals", "advisorFees"),
    *("brokerFees", "clientFees", "otherFees", "feesReceivables", "commissions", "forexCommissions", "transactionTax"),
    *("salesTax", "softDollars", "netFxTrading", "fxTranslation", "linkingAdjustments", "other"),
)

EQUITY_FIELDS = (
    *("cash", "stock", "options", "bonds", "notes", "funds", "commodities", "crypto", "physDel", "dividendAccruals"),
    *("interestAccruals", "softDollars", "ipoSubscription", "cfdUnrealizedPl", "forexCfdUnrealizedPl"),
)


def _zeros(names: tuple[str, ...], **values: str) -> dict[str, str]:
    return dict.fromkeys(names, "0") | values


def element(name: str, attributes: Mapping[str, str]) -> str:
    """Returns an element without content."""
    # Hardly any row has a character that XML wants escaped.
    if _SPECIAL.search("".join(attributes.values())):
        written = [f"{key}={quoteattr(value)}" for key, value in attributes.items()]
    else:
        written = [f'{key}="{value}"' for key, value in attributes.items()]
    return f"<{name} {' '.join(written)}/>"


Sections = dict[str, list[tuple[str, dict[str, str]]]]


def week() -> Sections:
    """Returns the rows of a week, by section: 1,000 EUR came in, a fund pays a dividend in dollars; base is EUR."""
    cash = {"accountId": ACCOUNT, "levelOfDetail": "Currency", "fromDate": "20260105", "toDate": "20260109"}
    position = WHO | {
        "assetCategory": "STK",
        "symbol": "VWRL",
        "conid": "4711",
        "isin": "IE00B3RBWM25",
        "multiplier": "1",
        "reportDate": "20260109",
        "markPrice": "100",
        "costBasisMoney": "950",
    }
    booking = WHO | {"conid": "", "description": "", "dateTime": "20260106;202000", "reportDate": "20260106"}
    booking |= {"settleDate": "20260106", "levelOfDetail": "DETAIL"}
    return {
        "AccountInformation": [("AccountInformation", {"accountId": ACCOUNT, "currency": "EUR", "name": "Jane Roe"})],
        "EquitySummaryInBase": [
            (
                "EquitySummaryByReportDateInBase",
                _zeros(EQUITY_FIELDS, reportDate=day, cash=cash_value, stock=stock, total=total),
            )
            for day, cash_value, stock, total in (
                ("20260102", "500", "850.5", "1350.5"),
                ("20260109", "1508.5", "900", "2408.5"),
            )
        ],
        "ChangeInNAV": [
            (
                "ChangeInNAV",
                _zeros(NAV_FIELDS, fromDate="20260105", toDate="20260109", startingValue="1350.5", mtm="49.5")
                | {"depositsWithdrawals": "1000", "dividends": "9", "withholdingTax": "-0.5"}
                | {"endingValue": "2408.5", "twr": "4.29"},
            )
        ],
        "CashReport": [
            (
                "CashReportCurrency",
                cash | {"currency": currency} | _zeros(CASH_FIELDS, startingCash=start, endingCash=end) | more,
            )
            for currency, start, end, more in (
                (
                    "BASE_SUMMARY",
                    "500",
                    "1508.5",
                    {"depositWithdrawals": "1000", "deposits": "1000", "dividends": "8.5"},
                ),
                ("EUR", "500", "1500", {"depositWithdrawals": "1000", "deposits": "1000"}),
                ("USD", "0", "9.444444444", {"dividends": "10", "withholdingTax": "-0.555555556"}),
            )
        ],
        "OpenPositions": [
            ("OpenPosition", position | {"position": "10", "positionValue": "1000", "levelOfDetail": "SUMMARY"}),
            ("OpenPosition", position | {"position": "4", "positionValue": "400", "levelOfDetail": "LOT"}),
            ("OpenPosition", position | {"position": "6", "positionValue": "600", "levelOfDetail": "LOT"}),
        ],
        "CashTransactions": [
            (
                "CashTransaction",
                booking
                | {"type": "Deposits/Withdrawals", "amount": "1000", "currency": "EUR", "fxRateToBase": "1"}
                | {"transactionID": "1"},
            ),
            ("CashTransaction", booking | {"type": "Dividends", "amount": "10", "transactionID": "2", "conid": "4711"}),
        ],
        "ConversionRates": [
            (
                "ConversionRate",
                {"reportDate": "20260109", "fromCurrency": "USD", "toCurrency": "EUR", "rate": "0.9"},
            )
        ],
    }


def head(**changes: str) -> dict[str, str]:
    """Returns the attributes of a FlexStatement, some of them changed."""
    return {
        "accountId": ACCOUNT,
        "fromDate": "20260105",
        "toDate": "20260109",
        "period": "",
        "whenGenerated": "20260110;063000",
        **changes,
    }


SINGLE = {"AccountInformation", "ChangeInNAV"}
"""Sections that are one element without a container."""


def statement(sections: Sections | None = None, attributes: Mapping[str, str] | None = None) -> str:
    """Returns a FlexStatement."""
    parts = []
    for name, rows in (week() if sections is None else sections).items():
        content = "".join(element(row, row_attributes) for row, row_attributes in rows)
        parts.append(content if name in SINGLE else f"<{name}>{content}</{name}>")
    opening = element("FlexStatement", attributes or head())[: -len("/>")]
    return f"{opening}>{''.join(parts)}</FlexStatement>"


def document(*statements: str, kind: str = "AF") -> bytes:
    """Returns a file with these statements; without any, with the one of the week."""
    chosen = statements or (statement(),)
    text = "\n".join(chosen)
    return (
        f'<FlexQueryResponse queryName="All" type="{kind}">\n<FlexStatements count="{len(chosen)}">\n{text}\n'
        "</FlexStatements>\n</FlexQueryResponse>\n"
    ).encode()
