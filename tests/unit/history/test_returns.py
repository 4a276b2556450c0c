"""Returns against cases worked out by hand, and against properties that hold for any account."""

import math
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.history.flows import ExternalFlow, FlowKind
from ibkr_tools.history.returns import Close, DayRange, Return, annualized, find_gap, measure_return

MONDAY = date(2026, 1, 5)
ALWAYS = [DayRange(date(2000, 1, 1), date(2100, 1, 1))]


def day(number: int) -> date:
    return MONDAY + timedelta(days=number)


def flow(number: int, amount: str | None) -> ExternalFlow:
    return ExternalFlow("U1", day(number), None if amount is None else Decimal(amount), FlowKind.DEPOSIT)


def measured(values: Mapping[int, str], flows: Mapping[int, str | None] | None = None) -> Return:
    closes = [Close(day(number), Decimal(value)) for number, value in values.items()]
    return measure_return(closes, [flow(number, amount) for number, amount in (flows or {}).items()], ALWAYS)


@pytest.mark.parametrize(
    ("values", "flows", "expected"),
    [
        ({0: "1000", 1: "1110"}, {1: "100"}, 1110 / 1100 - 1),
        ({0: "1000", 1: "910"}, {1: "-100"}, 1010 / 1000 - 1),
        ({0: "1000", 1: "1000"}, {}, 0),
        ({0: "0", 1: "1000", 2: "1100"}, {1: "1000"}, 0.1),
        ({0: "1000", 1: "0", 2: "0", 3: "500", 4: "550"}, {1: "-1100", 3: "500"}, 1.1 * 1.1 - 1),
        ({4: "1000", 7: "1650"}, {5: "500"}, 0.1),
        ({0: "1000", 1: "0"}, {}, -1),
        ({0: "1000", 1: "1100"}, {0: "500"}, 0.1),
        ({0: "1000", 1: "1100"}, {2: "500"}, 0.1),
        ({0: "1000", 1: "2000"}, {1: "500"}, 2000 / 1500 - 1),
    ],
    ids=[
        "a deposit counts from the start of its day",
        "a withdrawal counts until the end of its day",
        "nothing happens",
        "the first deposit",
        "emptied and filled again",
        "a flow on Saturday belongs to Monday",
        "a total loss",
        "the first day's flow is in its close",
        "a flow after the last close",
        "a deposit doubles less than it seems",
    ],
)
def test_time_weighted(values: dict[int, str], flows: dict[int, str | None], expected: float) -> None:
    found = measured(values, flows)
    assert found.problem == ""
    assert found.time_weighted is not None
    assert float(found.time_weighted) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("values", "flows", "problem"),
    [
        ({0: "1000", 1: "1100"}, {1: None}, "no rate"),
        ({0: "1000", 1: "-5", 2: "100"}, {}, "more than everything was lost on 2026-01-06"),
    ],
)
def test_no_return(values: dict[int, str], flows: dict[int, str | None], problem: str) -> None:
    found = measured(values, flows)
    assert problem in found.problem
    assert found.time_weighted is None
    assert found.money_weighted is None


@pytest.mark.parametrize(
    ("values", "left_out"),
    [
        ({0: "0", 1: "0", 2: "0"}, 0),
        ({0: "1000", 1: "1100", 2: "0", 3: "5", 4: "5"}, 1),
        ({0: "1000", 1: "1100", 2: "-5", 3: "-7", 4: "-7"}, 2),
    ],
)
def test_days_that_begin_without_capital_are_left_out(values: dict[int, str], left_out: int) -> None:
    """An account that has moved may be booked something later; nothing is earned on nothing."""
    flows = {2: str(-Decimal(1100) + min(Decimal(values[2]), Decimal(0)))} if values[0] != "0" else {}
    found = measured(values, flows)
    assert found.days_left_out == left_out
    assert found.problem == ""
    assert float(found.time_weighted or 0) == pytest.approx(0.1 if flows else 0)


def test_a_gap_has_no_return() -> None:
    """Values before and after it are known, and what came in meanwhile is not."""
    closes = [Close(day(number), Decimal(1000)) for number in (0, 1, 14, 15)]
    covered = [DayRange(day(0), day(2)), DayRange(day(11), day(15))]
    found = measure_return(closes, [], covered)
    assert found.problem == "no statement covers 2026-01-08 to 2026-01-15"
    assert found.time_weighted is None


@pytest.mark.parametrize(
    ("days", "covered", "gap"),
    [
        ((0, 4), [(0, 4)], None),
        ((0, 7), [(0, 4), (7, 7)], None),
        ((0, 7), [(0, 4)], (7, 7)),
        ((0, 4), [(0, 1), (3, 4)], (2, 2)),
        ((0, 4), [], (1, 4)),
        ((4, 7), [(7, 7)], None),
        ((0, 30), [(0, 10), (5, 30)], None),
        ((0, 16), [(0, 13), (15, 16)], None),
    ],
)
def test_gaps(days: tuple[int, int], covered: list[tuple[int, int]], gap: tuple[int, int] | None) -> None:
    spans = [DayRange(day(first), day(last)) for first, last in covered]
    found = find_gap([day(days[0]), day(days[1])], spans)
    assert found == (None if gap is None else DayRange(day(gap[0]), day(gap[1])))


def test_money_weighted_of_a_year() -> None:
    found = measured({0: "1000", 365: "2200"}, {182: "1000"})
    assert found.money_weighted is not None
    rate = found.money_weighted
    assert -1000 * (1 + rate) - 1000 * (1 + rate) ** (183 / 365) + 2200 == pytest.approx(0, abs=1e-6)


def test_money_weighted_of_a_day_is_no_rate_of_a_year() -> None:
    assert measured({0: "1000", 1: "1100"}).money_weighted == pytest.approx(0.1)
    assert measured({0: "1000", 2: "1650"}, {1: "500"}).money_weighted == pytest.approx(0.120687383, abs=1e-9)


def test_several_rates_are_none() -> None:
    """10 % and 20 % both balance these."""
    assert measured({0: "1000", 730: "-1320"}, {365: "-2300"}).money_weighted is None


@pytest.mark.parametrize("values", [{0: "0", 365: "100"}, {0: "1000", 365: "0"}])
def test_payments_of_one_sign_have_no_rate(values: dict[int, str]) -> None:
    assert measured(values, {1: "10"} if values[0] == "1000" else {1: "-10"}).money_weighted is None


def test_annualized() -> None:
    assert annualized(0.1, 364) is None
    assert annualized(Decimal("0.21"), 730) == pytest.approx(0.1)
    assert annualized(None, 730) is None
    assert annualized(-1, 730) is None


AMOUNTS = st.integers(1, 10**7).map(lambda cents: Decimal(cents) / 100)


@given(st.lists(AMOUNTS, min_size=2, max_size=40), st.data())
def test_the_parts_of_a_period_make_the_whole(values: list[Decimal], data: st.DataObject) -> None:
    """Chained at any day; flows are counted once."""
    closes = [Close(day(number), value) for number, value in enumerate(values)]
    cut = data.draw(st.integers(1, len(values) - 1))
    flows = [
        flow(number, str(amount)) for number, amount in data.draw(st.lists(st.tuples(st.integers(0, 40), AMOUNTS)))
    ]
    whole = measure_return(closes, flows, ALWAYS)
    parts = [measure_return(part, flows, ALWAYS) for part in (closes[: cut + 1], closes[cut:]) if len(part) > 1]
    assert whole.time_weighted is not None
    assert math.prod(1 + float(part.time_weighted or 0) for part in parts) == pytest.approx(
        1 + float(whole.time_weighted), rel=1e-9
    )
    assert sum(part.gain for part in parts) == whole.gain
    assert sum(part.flows for part in parts) == whole.flows


@given(st.lists(AMOUNTS, min_size=2, max_size=30))
def test_deposits_change_no_return(values: list[Decimal]) -> None:
    """The same growth of each day, with and without."""
    growth = [later / earlier for earlier, later in pairwise(values)]
    plain = measured({number: str(value) for number, value in enumerate(values)})
    total, moved, flows = Decimal(1000), {0: "1000"}, {}
    for number, factor in enumerate(growth, start=1):
        deposit = Decimal(100 * number)
        total = (total + deposit) * factor
        moved[number], flows[number] = str(total), str(deposit)
    found = measured(moved, flows)
    assert plain.time_weighted is not None
    assert found.time_weighted is not None
    assert float(found.time_weighted) == pytest.approx(float(plain.time_weighted), rel=1e-9, abs=1e-12)
