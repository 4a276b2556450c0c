"""External flows: what came from outside, by the day on which it is in the net asset value."""

from decimal import Decimal
from typing import Any

from ibkr_tools.history.flows import FlowKind, external_flows
from ibkr_tools.history.projection import project
from ibkr_tools.history.records import CashBooking, Transfer
from tests.support.flex_statements import Sections
from tests.support.history_sources import BASE, source

DAY = {"reportDate": "20260106", "currency": "USD", "fxRateToBase": "0.9"}


def flows(sections: Sections, *together: str, account: str = "U1234567") -> list[Any]:
    projection = project([(source(BASE | sections, accountId=account), "a")])
    return external_flows(projection.records(CashBooking), projection.records(Transfer), together=together)


def cash(kind: str, amount: str, **more: str) -> tuple[str, dict[str, str]]:
    return "CashTransaction", DAY | {"type": kind, "amount": amount, "dateTime": "20260102", **more}


def test_deposits_and_withdrawals_are_flows_and_nothing_that_was_earned() -> None:
    """On the day of the report, in base."""
    rows = [
        cash("Deposits/Withdrawals", "100"),
        cash("Deposits & Withdrawals", "-50", reportDate="20260107"),
        cash("Dividends", "7"),
        cash("Withholding Tax", "-1"),
        cash("Broker Interest Paid", "-1"),
        cash("Other Fees", "-1"),
    ]
    found = flows({"CashTransactions": rows})
    assert [(f"{item.day}", item.amount_in_base, item.kind) for item in found] == [
        ("2026-01-06", 90, FlowKind.DEPOSIT),
        ("2026-01-07", -45, FlowKind.DEPOSIT),
    ]


def test_a_flow_without_a_rate_is_told_as_one() -> None:
    """Left out, it would be a gain."""
    (flow,) = flows({"CashTransactions": [cash("Deposits/Withdrawals", "100", fxRateToBase="")]})
    assert flow.amount_in_base is None


def transfer(kind: str, amount: str, other: str = "") -> tuple[str, dict[str, str]]:
    return "Transfer", DAY | {"type": kind, "positionAmountInBase": amount, "account": other, "cashTransfer": "10"}


def test_transfers_are_flows() -> None:
    """Position and cash together; one of nothing is none."""
    nothing = ("Transfer", DAY | {"type": "FOP", "positionAmountInBase": "0", "cashTransfer": "0"})
    found = flows({"Transfers": [transfer("ACATS", "500"), transfer("INTERNAL", "-9", "U2"), nothing]})
    assert [(item.amount_in_base, item.kind) for item in found] == [(Decimal(509), FlowKind.TRANSFER)]


def test_transfers_between_accounts_that_are_one_are_none() -> None:
    """To an account that is not among them they are."""
    rows = {"Transfers": [transfer("INTERNAL", "500", "U2"), transfer("INTERNAL", "100", "U3")]}
    found = flows(rows, "U1234567", "U2")
    assert [(item.amount_in_base, item.kind) for item in found] == [(109, FlowKind.INTERNAL_TRANSFER)]
    assert len(flows(rows)) == 2
    assert len(flows(rows, "U2")) == 2


def test_an_account_whose_number_has_changed_has_no_flow_by_that() -> None:
    """IBKR moves everything from the old number to the new one; looked at alone, each has one."""

    def moved(amount: str, other: str) -> Sections:
        return {"Transfers": [transfer("INTERCOMPANY", amount, other)]}

    old, new = source(BASE | moved("-500", "U2"), accountId="U1"), source(BASE | moved("480", "U1"), accountId="U2")
    transfers = project([(old, "a"), (new, "b")]).records(Transfer)
    assert external_flows([], transfers, together=["U1", "U2"]) == []
    assert [flow.kind for flow in external_flows([], transfers)] == [FlowKind.TRANSFER, FlowKind.TRANSFER]
