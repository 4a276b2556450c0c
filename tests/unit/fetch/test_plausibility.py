"""What contradicts: given what came for one account."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.fetch.plan import plan_snapshot
from ibkr_tools.fetch.plausibility import Contradiction, corroborating_resource, find_contradictions, parse_evidence
from ibkr_tools.fetch.position_values import describe_missing_value, parse_ledger_values, parse_row_values

ACCOUNT = "U1234567"
SUMMARY = {"accountcode": {"amount": 0.0, "value": ACCOUNT}, "netliquidation": {"amount": 100.0}}
HOLDING = SUMMARY | {"grosspositionvalue": {"amount": 90.0}}
LEDGER = {"BASE": {"cashbalance": 10.0, "stockmarketvalue": 90.0, "acctcode": ACCOUNT, "exchangerate": 1}}
CASH = {"BASE": {"cashbalance": 100.0, "stockmarketvalue": 0.0, "acctcode": ACCOUNT}}
ALLOCATION = {"assetClass": {"long": {"STK": 90.0}, "short": {}}}
POSITIONS = [{"acctId": ACCOUNT, "conid": 1, "position": 3.0, "mktValue": 90.0}]
ZEROS = {"accountcode": {"amount": 0.0, "value": ACCOUNT}, "netliquidation": {"amount": 0.0}}
NO_MONEY = {"BASE": {"cashbalance": 0.0, "exchangerate": 1, "timestamp": 1780000000, "sessionid": 1}}
SIDES: dict[str, Any] = {"assetClass": {"long": {}, "short": {}}, "sector": {"long": {}, "short": {}}}


def wrong(account: str = ACCOUNT, model: str | None = None, **answers: Any) -> dict[str, Contradiction]:
    """Returns what is wrong, by resource."""
    found = {}
    for name, payload in answers.items():
        parameters = {"model": model} if model and name in {"allocation", "positions"} else {}
        (call,) = plan_snapshot([name], parameters, "portfolio")[0].calls([account])
        evidence = parse_evidence(call, payload)
        assert evidence
        found[name] = evidence
    return {one.kind: one for one in find_contradictions(found)}


@pytest.mark.parametrize(
    "row", [{"position": "1,234", "mktValue": "12,345.00"}, {"position": 5.0, "mktValue": 0.0}, {"position": "N/A"}]
)
def test_positions_without_a_price_or_as_texts_are_held(row: dict[str, Any]) -> None:
    """A contract that is traded no more, and IBKR's ways to write a number."""
    assert not wrong(positions=[row], summary=HOLDING, ledger=LEDGER)
    assert not wrong(positions=[{"position": 5.0, "mktValue": 0.0}], summary=ZEROS, ledger=NO_MONEY)


def test_what_fits_together_is_believed() -> None:
    assert not wrong(summary=HOLDING, ledger=LEDGER, allocation=ALLOCATION, positions=POSITIONS)
    assert not wrong(summary=SUMMARY, ledger=CASH, allocation={}, positions=[])
    assert not wrong(summary=ZEROS, ledger=NO_MONEY, allocation=SIDES, positions=[])


@pytest.mark.parametrize("silent", [{}, ZEROS, {"netliquidation": {}}, {"netliquidation": {"amount": None}}, []])
@pytest.mark.parametrize("others", [{"positions": POSITIONS}, {"ledger": CASH}, {"allocation": ALLOCATION}])
def test_a_blank_summary_beside_anything(silent: Any, others: dict[str, Any]) -> None:
    assert set(wrong(summary=silent, **others)) == {"summary"}


@pytest.mark.parametrize(
    "silent", [{}, NO_MONEY, {"BASE": {}}, {"BASE": None}, {"EUR": {"cashbalance": 0.0}, "BASE": {}}]
)
@pytest.mark.parametrize("others", [{"positions": POSITIONS}, {"summary": SUMMARY}])
def test_a_blank_ledger_beside_anything(silent: Any, others: dict[str, Any]) -> None:
    assert set(wrong(ledger=silent, **others)) == {"ledger"}


def test_a_ledger_without_base() -> None:
    assert wrong(ledger={"USD": {"cashbalance": 1.0}})["ledger"].description == "has nothing under BASE"


@pytest.mark.parametrize("silent", [{}, SIDES, {"assetClass": {}}, {"assetClass": {"long": {"STK": 0.0}}}])
def test_a_blank_allocation_beside_positions_but_not_beside_cash(silent: Any) -> None:
    assert set(wrong(allocation=silent, positions=POSITIONS)) == {"allocation"}
    assert not wrong(allocation=silent, summary=SUMMARY, ledger=CASH)


@pytest.mark.parametrize("others", [{"summary": HOLDING}, {"ledger": LEDGER}])
@pytest.mark.parametrize(
    "rows", [[], [{}], [None], [{"conid": 1, "position": 0.0, "mktValue": 0.0}], [{"conid": 1, "position": None}]]
)
def test_no_positions_beside_the_value_of_some(others: dict[str, Any], rows: Any) -> None:
    assert set(wrong(positions=rows, **others)) == {"positions"}


def test_no_positions_of_a_model_are_none() -> None:
    assert not wrong(positions=[], allocation={}, summary=HOLDING, model="m")


def test_futures_alone_have_no_gross_value() -> None:
    """IBKR counts them neither there nor in the ledger's values."""
    assert not wrong(summary=SUMMARY, ledger=CASH, positions=POSITIONS)


def test_closed_and_worthless_positions_prove_nothing() -> None:
    rows = [
        {"acctId": ACCOUNT, "conid": 1, "position": 0.0, "mktValue": 0.0},
        {"conid": 2, "position": 5, "mktValue": 0},
    ]
    assert not wrong(summary=ZEROS, ledger=NO_MONEY, allocation={}, positions=rows)


def test_less_than_a_cent_is_noise() -> None:
    assert not wrong(summary=ZEROS, ledger={"BASE": {"cashbalance": 0.004}}, positions=[])


def test_other_numbers_of_an_empty_account_accuse_nobody() -> None:
    """Leverage, interest rates, what was realised before the account was emptied."""
    summary = ZEROS | {"leverage-s": {"amount": 1.0}, "daytradesremaining": {"amount": -1.0}}
    ledger = {"BASE": {"cashbalance": 0.0, "realizedpnl": 55.0, "interest": 1.2}}
    assert not wrong(summary=summary, ledger=ledger, allocation={}, positions=[])


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("summary", HOLDING | {"accountcode": {"value": "U7654321"}}),
        ("ledger", {"BASE": LEDGER["BASE"] | {"acctcode": "U7654321"}}),
        ("positions", [*POSITIONS, POSITIONS[0] | {"acctId": "U7654321"}]),
    ],
)
def test_another_account(name: str, payload: Any) -> None:
    found = wrong(**{name: payload})
    assert (found[name].description, found[name].is_transient) == ("is about U7654321", False)


def test_a_segment_is_no_other_account() -> None:
    assert not wrong(positions=[POSITIONS[0] | {"acctId": f"{ACCOUNT}C"}])
    assert not wrong("F1234567A", positions=POSITIONS)
    assert wrong("F1234567", positions=POSITIONS)


def test_silence_about_everything_is_uncertain() -> None:
    found = wrong(summary={}, ledger={}, allocation={}, positions=[])
    assert set(found) == {"summary", "ledger", "allocation"}
    assert not any(one.is_certain for one in found.values())


@pytest.mark.parametrize(
    ("answers", "witness"),
    [
        ({"positions": []}, "ledger"),
        ({"positions": POSITIONS}, None),
        ({"positions": [], "ledger": CASH}, None),
        ({"positions": [], "ledger": NO_MONEY}, None),
        ({"summary": {}}, "positions"),
        ({"ledger": {}}, "positions"),
        ({"allocation": {}}, "ledger"),
        ({"summary": SUMMARY}, None),
    ],
)
def test_who_is_asked_about_silence_that_stands_alone(answers: dict[str, Any], witness: str | None) -> None:
    calls = {name: plan_snapshot([name], {}, "portfolio")[0].calls([ACCOUNT])[0] for name in answers}
    found = {name: evidence for name, call in calls.items() if (evidence := parse_evidence(call, answers[name]))}
    assert corroborating_resource(found) == witness


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["BASE", "amount", "netliquidation", "acctId", "mktValue", "long", "x"]), inner
        )
    ),
    max_leaves=10,
)


@given(anything, st.sampled_from(["summary", "ledger", "allocation", "positions"]))
def test_whatever_comes_is_judged(payload: Any, name: str) -> None:
    """Never an exception of Python's."""
    wrong(**{name: payload})


STOCKS = {"EUR": {"stockmarketvalue": 1000.0}, "USD": {"stockmarketvalue": -200.0, "corporatebondsmarketvalue": 50}}


def held(*values: float, currency: str = "EUR", asset_class: str = "STK", **fields: Any) -> list[dict[str, Any]]:
    """Returns one row for each value."""
    return [
        {"position": 1, "assetClass": asset_class, "mktValue": one, "currency": currency} | fields for one in values
    ]


@pytest.mark.parametrize(
    ("rows", "missing"),
    [
        (held(*[10.0] * 100) + held(-150, currency="USD"), ""),
        (held(*[9.5] * 100), "0.00 USD of -150.00"),
        (held(*[6.0] * 98) + held(-150, currency="USD"), ""),
        (held(*[6.0] * 99) + held(-150, currency="USD"), "594.00 EUR of 1,000.00"),
        (held(*[5.0] * 99) + held(-150, currency="USD"), "495.00 EUR of 1,000.00"),
        (held(400.0) + held(-150, currency="USD"), "400.00 EUR of 1,000.00"),
        (held(600.0) + held(-150, currency="USD"), ""),
        # Long and short, of which little is left when they are added up.
        (held(3000.0, -2200.0) + held(-150, currency="USD"), ""),
        # What the ledger has under keys that are not compared, or not at all.
        (held(1000.0) + held(-150, currency="USD") + held(5000, asset_class="FUT") + held(70, asset_class="FUND"), ""),
        (held(400.0) + held(9, currency="TRY"), ""),
        (held(400.0) + held(1.7976931348623157e308), ""),
        (held(400.0, asset_class="XYZ"), "0.00 EUR of 1,000.00"),
        ([], ""),
    ],
)
def test_rows_that_lack_much_of_what_the_ledger_has(rows: list[dict[str, Any]], missing: str) -> None:
    """Half of it in any case, a tenth where the list ends on a full page."""
    assert describe_missing_value(parse_row_values(rows), parse_ledger_values(STOCKS)) == missing


@pytest.mark.parametrize("ledger", [{}, {"BASE": {"stockmarketvalue": 1000.0}}, {"EUR": {"cashbalance": 1.0}}])
def test_a_ledger_without_such_values_is_no_witness(ledger: dict[str, Any]) -> None:
    assert not describe_missing_value(parse_row_values(held(1.0)), parse_ledger_values(ledger))


def test_a_base_of_zeros_beside_currencies() -> None:
    zeros = {"EUR": {"cashbalance": 5.0}, "BASE": {"cashbalance": 0.0, "netliquidationvalue": 0.0}}
    assert wrong(ledger=zeros)["ledger"].description == "has nothing under BASE"


@pytest.mark.parametrize("key", ["funds", "commoditymarketvalue", "futuremarketvalue", "cryptocurrencyvalue"])
def test_no_positions_beside_a_ledger_with_any_kind(key: str) -> None:
    ledger = {"BASE": {"cashbalance": 10.0, key: 90.0}}
    assert set(wrong(positions=[], ledger=ledger)) == {"positions"}
    assert not wrong(positions=[], ledger={"BASE": {"cashbalance": 10.0, "moneyfunds": 90.0}})
