"""What of a statement this version knows nothing of: sections, rows, attributes, types. IBKR adds some without notice.

They stay in the statement, which is kept as it is. What has an unknown type is counted like its siblings, under the
name that IBKR gives it.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from ibkr_tools.flex.query_sections import SECTIONS
from ibkr_tools.flex.statement_xml import Row, Statement, StatementSection
from ibkr_tools.history.known_attributes import known_rows
from ibkr_tools.history.records.cash import is_known_type
from ibkr_tools.history.records.row_fields import text_of

MAX_NAMED = 10
"""So many names are told of one statement file."""

_KEPT_SECTIONS = frozenset(
    {
        *("MTMPerformanceSummaryInBase", "FIFOPerformanceSummaryInBase", "MTDYTDPerformanceSummary", "FxLots"),
        *("PriorPeriodPositions", "ChangeInPositionValues", "NetStockPositionSummary", "TierInterestDetails"),
        *("HardToBorrowDetails", "SLBOpenContracts", "SLBActivities", "SLBFees", "SLBCollaterals", "SoftDollars"),
        *("UnbundledCommissionDetails", "RoutingCommissions", "ClientFees", "ClientFeesDetail", "CFDCharges"),
        *("StockGrantActivities", "DebitCardActivities", "UnsettledTransfers", "TradeTransfers", "TransferLots"),
        *("DepositsOnHold", "IncentiveCouponAccrualDetails", "CommissionCredits", "IBGNoteTransactions"),
        *("MutualFundDividendDetails", "PendingExcercises", "FdicInsuredDepositsByBank", "CorporateActionDetails"),
        *("ComplexPositions", "UnbookedTrades", "HKIPOOpenSubscriptions", "HKIPOSubscriptionActivity", "Adjustments"),
        *("HardToBorrowMarkupDetails", "TradeConfirms"),
    }
)
"""Sections, spelled as IBKR does, that are kept and of which nothing is made."""

_READ_SECTIONS = frozenset(section.element for section in SECTIONS)
_KNOWN_SECTIONS = _KEPT_SECTIONS | _READ_SECTIONS

_MAX_NAME_LENGTH = 40
"""In characters, of what is named: the file comes from outside."""

_KNOWN_TYPES: Mapping[tuple[str, str], AbstractSet[str]] = {
    ("Trade", "transactionType"): frozenset(
        {
            *("ExchTrade", "BookTrade", "TradeCancel", "TradeCorrect", "FracShare", "FracShareCancel", "DvpTrade"),
        }
    ),
    ("Transfer", "type"): frozenset({"INTERNAL", "INTERCOMPANY", "ACATS", "ATON", "FOP", "OTC"}),
    ("CorporateAction", "type"): frozenset(
        {
            *(
                "BC",
                "BM",
                "CA",
                "CC",
                "CD",
                "CH",
                "CI",
                "CO",
                "CP",
                "CS",
                "CT",
                "DI",
                "DW",
                "ED",
                "FA",
                "FI",
                "FS",
                "GV",
            ),
            *("HD", "HI", "IC", "OR", "PI", "PV", "RI", "RS", "SD", "SO", "SR", "TC", "TI", "TO", "TM"),
        }
    ),
}


def unknown_names(events: Iterable[Statement | StatementSection | Row]) -> list[str]:
    """Returns what is unknown in the statements of a file, each once, such as `section NewThings`."""
    found: dict[str, None] = {}
    # Thousands of rows have the same few shapes.
    shapes: set[tuple[str, str, tuple[str, ...]]] = set()
    for event in events:
        match event:
            case StatementSection():
                if event.name not in _KNOWN_SECTIONS:
                    found[f"section {event.name[:_MAX_NAME_LENGTH]}"] = None
            case Row():
                shape = (event.section, event.element, tuple(event.attributes))
                if shape not in shapes:
                    shapes.add(shape)
                    found.update(dict.fromkeys(_unknown_attributes(*shape)))
                found.update(dict.fromkeys(_unknown_types(event)))
            case _:
                pass
    return list(found)


def _unknown_attributes(section: str, element: str, attributes: Iterable[str]) -> list[str]:
    """Returns what is unknown in a row of a section that something is made of."""
    if section not in _READ_SECTIONS:
        return []
    rows = known_rows()
    shown = element[:_MAX_NAME_LENGTH]
    if not rows.has_row(element):
        return [] if element == section else [f"row {shown} of the section {section}"]
    unknown = [name for name in attributes if not rows.has(element, name)]
    return [f"attribute {name[:_MAX_NAME_LENGTH]} of {shown}" for name in unknown]


def _unknown_types(row: Row) -> list[str]:
    if row.element == "CashTransaction":
        text = text_of(row, "type")
        return [f"cash transaction of the type {text[:_MAX_NAME_LENGTH]!r}"] if text and not is_known_type(text) else []
    return [
        f"{element} of the {attribute} {text[:_MAX_NAME_LENGTH]!r}"
        for (element, attribute), known in _KNOWN_TYPES.items()
        if row.element == element and (text := text_of(row, attribute)) and text not in known
    ]
