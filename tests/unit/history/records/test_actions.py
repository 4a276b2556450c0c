"""Corporate actions, transfers and dividends that are due."""

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ibkr_tools.history.records import CorporateAction, DividendAccrual, Transfer
from tests.support.history_sources import BASE, of, records

if TYPE_CHECKING:
    from tests.support.flex_statements import Sections

WHO = {"currency": "USD", "fxRateToBase": "0.9", "conid": "4711", "symbol": "VT", "reportDate": "20260106"}


def test_a_cash_merger_has_its_cash_here() -> None:
    """`amount` has the opposite sign: `proceeds` is what came."""
    row = WHO | {"type": "TC", "quantity": "-367", "proceeds": "405.42", "amount": "-405.42", "actionID": "7"}
    (action,) = records(CorporateAction, of("CorporateActions", "CorporateAction", row))
    assert (action.quantity, action.proceeds, action.amount) == (-367, Decimal("405.42"), Decimal("-405.42"))


def test_details_count_beside_their_summaries() -> None:
    detail, summary = WHO | {"levelOfDetail": "DETAIL"}, WHO | {"levelOfDetail": "SUMMARY", "accountId": "-"}
    out, into = {"quantity": "-24", "conid": "1"}, {"quantity": "24", "conid": "2"}
    rows = [summary | out, summary | into, detail | out, detail | into]
    found = records(CorporateAction, of("CorporateActions", "CorporateAction", *rows))
    assert [(item.conid, item.quantity) for item in found] == [("1", -24), ("2", 24)]
    assert len(records(CorporateAction, of("CorporateActions", "CorporateAction", *rows[:2]))) == 2


def transfer(**attributes: str) -> Transfer:
    row = {name: text for name, text in (WHO | {"type": "ACATS", "direction": "IN"} | attributes).items() if text}
    found: list[Transfer] = records(Transfer, BASE | of("Transfers", "Transfer", row))
    return found[0]


@pytest.mark.parametrize(
    ("attributes", "amount"),
    [
        ({"positionAmountInBase": "900", "positionAmount": "1000", "cashTransfer": "0"}, "900"),
        ({"positionAmountInBase": "900", "positionAmount": "1000", "cashTransfer": "10"}, "909"),
        ({"positionAmount": "1000"}, "900"),
        ({"cashTransfer": "-10", "direction": "OUT"}, "-9"),
        ({"cashTransfer": "-10", "currency": "EUR", "fxRateToBase": ""}, "-10"),
        ({"positionAmountInBase": "900", "cashTransfer": "10", "fxRateToBase": ""}, None),
        ({"positionAmount": "1000", "fxRateToBase": ""}, None),
        ({"positionAmount": "0", "cashTransfer": "0", "fxRateToBase": ""}, "0"),
    ],
)
def test_what_a_transfer_is_worth(attributes: dict[str, str], amount: str | None) -> None:
    """Position and cash together, in base; nothing where a rate is missing."""
    assert transfer(**attributes).amount_in_base == (None if amount is None else Decimal(amount))


def test_the_lots_of_a_transfer_are_no_transfers() -> None:
    row = WHO | {"type": "ACATS", "positionAmount": "1000"}
    sections: Sections = {
        "Transfers": [
            ("Transfer", row | {"levelOfDetail": "TRANSFER"}),
            ("TransferLot", row | {"levelOfDetail": "TRANSFER_LOT"}),
            ("Transfer", row | {"levelOfDetail": "TRANSFER_LOT"}),
        ]
    }
    assert len(records(Transfer, sections)) == 1


def test_a_dividend_that_is_due_is_of_the_last_day() -> None:
    row = WHO | {"exDate": "20251230", "payDate": "20260130", "grossAmount": "10", "tax": "1.5", "netAmount": "8.5"}
    (due,) = records(DividendAccrual, of("OpenDividendAccruals", "OpenDividendAccrual", row))
    assert (f"{due.day}", due.ex_day, due.pay_day, due.net_in_base) == (
        "2026-01-09",
        "2025-12-30",
        "2026-01-30",
        Decimal("7.65"),
    )
