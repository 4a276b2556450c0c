"""What has changed between two times, and why: worked out by hand, and sums that always add up."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.history.position_diff import ChangeKind, Held, PositionChange, compare_positions
from ibkr_tools.views.diff_table import format_diff


def held(quantity: str, price: str | None, rate: str | None = "1", *, conid: str = "1", account: str = "U1") -> Held:
    value = None if price is None else Decimal(quantity) * Decimal(price)
    in_base = None if value is None or rate is None else value * Decimal(rate)
    return Held(account, conid, f"N{conid}", "USD", Decimal(quantity), value, in_base)


def only(old: list[Held], new: list[Held]) -> PositionChange:
    (change,) = compare_positions(old, new)
    return change


@pytest.mark.parametrize(
    ("old", "new", "kind", "effects"),
    [
        ([], [held("10", "5", "0.5")], ChangeKind.NEW, (25, 0, 0)),
        ([held("10", "5", "0.5")], [], ChangeKind.GONE, (-25, 0, 0)),
        ([held("10", "5")], [held("10", "5")], ChangeKind.SAME, (0, 0, 0)),
        ([held("10", "5")], [held("10", "6")], ChangeKind.VALUE, (0, 10, 0)),
        ([held("10", "5", "1")], [held("10", "5", "2")], ChangeKind.VALUE, (0, 0, 50)),
        ([held("10", "5")], [held("12", "5")], ChangeKind.CHANGED, (10, 0, 0)),
        ([held("10", "5", "1")], [held("20", "6", "2")], ChangeKind.CHANGED, (120, 20, 50)),
        ([held("-10", "5")], [held("-10", "6")], ChangeKind.VALUE, (0, -10, 0)),
        ([held("10", "100")], [held("40", "25.1")], ChangeKind.SPLIT, (0, 4, 0)),
        ([held("40", "25")], [held("10", "101")], ChangeKind.SPLIT, (0, 10, 0)),
        ([held("10", "100")], [held("-10", "100")], ChangeKind.CHANGED, (-2000, 0, 0)),
        ([held("10", "100")], [held("11", "91")], ChangeKind.CHANGED, (91, -90, 0)),
        ([held("10", "5")], [held("10", "0")], ChangeKind.VALUE, (0, -50, 0)),
    ],
    ids=[
        *("new", "gone", "the same", "price", "currency", "bought", "all three", "short", "split", "reverse split"),
        *("from long to short", "too little for a split", "worthless"),
    ],
)
def test_changes(old: list[Held], new: list[Held], kind: ChangeKind, effects: tuple[int, int, int]) -> None:
    change = only(old, new)
    assert change.kind is kind
    assert [change.by_quantity, change.by_price, change.by_currency] == [Decimal(effect) for effect in effects]


def test_what_is_not_known_has_no_effects() -> None:
    change = only([held("10", None)], [held("12", "5")])
    assert (change.kind, change.value_change, change.by_quantity) == (ChangeKind.CHANGED, None, None)
    assert "without 1 position" in format_diff([change], "a", "b")


def test_rows_of_one_position_are_added_up_and_closed_ones_are_none() -> None:
    """An advisor's models have a row each; what was sold today is listed with nothing until the day is over."""
    assert only([held("4", "5"), held("6", "5")], [held("10", "5")]).kind is ChangeKind.SAME
    assert only([held("4", "5")], [held("0", "5")]).kind is ChangeKind.GONE
    assert compare_positions([held("0", "5")], []) == []


def test_accounts_and_contracts_are_apart() -> None:
    """A symbol that stays while the contract changes, as after a merger, is one gone and one new."""
    changes = compare_positions(
        [held("1", "5", conid="1"), held("1", "5", account="U2")], [held("1", "5", conid="2"), held("1", "5")]
    )
    assert [(change.account, change.conid, change.kind.value) for change in changes] == [
        ("U1", "1", "same"),
        ("U1", "2", "new"),
        ("U2", "1", "gone"),
    ]


NUMBERS = st.decimals(min_value=-1000, max_value=1000, places=4).map(str)
PRICES = st.decimals(min_value=0, max_value=1000, places=4).map(str)
RATES = st.decimals(min_value="0.01", max_value=100, places=5).map(str)
POSITIONS = st.lists(st.builds(held, NUMBERS, PRICES, RATES, conid=st.sampled_from("123")), max_size=4)


@given(POSITIONS, POSITIONS)
def test_effects_add_up(old: list[Held], new: list[Held]) -> None:
    changes = compare_positions(old, new)
    for change in changes:
        assert change.value_change is not None
        parts = (change.by_quantity or 0) + (change.by_price or 0) + (change.by_currency or 0)
        assert parts == pytest.approx(change.value_change, abs=Decimal("1e-9"))


def test_the_table() -> None:
    changes = compare_positions([held("10", "5", "1"), held("1", "1", conid="2")], [held("20", "6", "2")])
    table = format_diff(changes, "then", "now")
    assert table.splitlines()[-1] == "from then to now"
    assert "Sum, base currency" in table
    assert format_diff(compare_positions([held("1", "1")], [held("1", "1")]), "then", "now") == (
        "nothing has changed in 1 position from then to now"
    )
