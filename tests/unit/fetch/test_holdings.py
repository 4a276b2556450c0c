"""Positions as figures: what each class counts as, what is missing and why, and how the whole is composed."""

from decimal import Decimal
from typing import Any

import pytest

from ibkr_tools.fetch.asset_classes import ASSET_CLASSES, PositionRole
from ibkr_tools.fetch.holdings import Holding, Holdings
from tests.support.checkout import CHECKOUT
from tests.support.snapshots import snapshot_of

CASH = {"cashbalance": 1000.0, "interest": 2.5, "dividends": 4, "netliquidationvalue": 1106.5, "currency": "BASE"}


def row(**changes: Any) -> dict[str, Any]:
    """Returns one position in the long form's names."""
    fields: dict[str, Any] = {"acctId": "U1", "conid": 1, "contractDesc": "A", "assetClass": "STK", "position": 2}
    return fields | {"mktPrice": 50, "mktValue": 100.0, "unrealizedPnl": 5.0, "currency": "EUR"} | changes


def holdings(*rows: object, accounts: tuple[str, ...] = ("U1",), bases: str = "EUR", **ledger: Any) -> Holdings:
    """Returns positions of accounts with this base currency, and this ledger."""
    names = bases.split()
    summary = {
        name: {"netliquidation": {"amount": 5000.0, "currency": names[number % len(names)]}}
        for number, name in enumerate(accounts)
    }
    own = {"USD": {"exchangerate": 0.9}, "BASE": CASH} | ledger
    parts = {"positions": rows, "summary": summary, "ledger": dict.fromkeys(accounts, own)}
    return snapshot_of(parts, accounts).holdings()


def one(**changes: Any) -> Holding:
    """Returns one position as figures."""
    (found,) = holdings(row(**changes))
    return found


@pytest.mark.parametrize(
    ("asset_class", "role", "value"),
    [
        *((name, PositionRole.VALUE, 100) for name in ASSET_CLASSES if ASSET_CLASSES[name].role is PositionRole.VALUE),
        *((name, PositionRole.EXPOSURE, 0) for name in ("FUT", "ICU", "ICS")),
        ("CFD", PositionRole.EXPOSURE, 5),
        ("CASH", PositionRole.CASH, 0),
        *((name, PositionRole.NOTHING, 0) for name in ("BAG", "IND", "NEWS", "News", "SLB")),
        *((name, PositionRole.UNKNOWN, None) for name in ("PDC", "XYZ", "", None)),
    ],
)
def test_what_each_class_counts(asset_class: str | None, role: PositionRole, value: int | None) -> None:
    found = one(assetClass=asset_class)
    assert (found.role, found.value, found.value_base) == (role, value, value)
    assert found.exposure == (100 if role is PositionRole.EXPOSURE else None)
    assert found.market_value == 100


def test_every_class_says_why() -> None:
    """IBKR's own list of what it knows (`allowedAssetTypes`) is in the table, but for what nobody can explain."""
    named = "STK,CFD,OPT,FOP,WAR,FUT,BAG,PDC,CASH,IND,BOND,BILL,FUND,SLB,News,CMDTY,IOPT,ICU,ICS,PHYSS,CRYPTO"
    assert {name.upper() for name in named.split(",")} - set(ASSET_CLASSES) == {"PDC"}
    assert all(kind.reason and kind.name for kind in ASSET_CLASSES.values())
    owned = {name for name, kind in ASSET_CLASSES.items() if kind.role is PositionRole.VALUE}
    assert " ".join(sorted(owned)) == "BILL BOND CMDTY CRYPTO FOP FUND IOPT OPT PHYSS STK WAR"


def test_the_documentation_has_the_same_table() -> None:
    page = (CHECKOUT / "docs/fetch.md").read_text()
    for name, kind in ASSET_CLASSES.items():
        assert f"| `{name}` | {kind.name} | {kind.role.value} | {kind.reason} |" in page


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"mktPrice": None, "mktValue": None}, "no price"),
        ({"mktPrice": None, "mktValue": 0.0}, "no price"),
        ({"mktValue": 1.7976931348623157e308}, "no value"),
        ({"mktValue": "N/A", "mktPrice": "C198.45"}, "no price"),
        ({"currency": "TRY"}, "no rate for TRY"),
        ({"currency": None}, "no currency"),
        ({"assetClass": "XYZ"}, "unknown class XYZ"),
        ({"assetClass": None}, "no class"),
        ({"assetClass": "CFD", "unrealizedPnl": None}, "no profit and loss"),
    ],
)
def test_a_hole_is_one_rows_hole(changes: dict[str, Any], missing: str) -> None:
    found = holdings(row(), row(**changes), row(assetClass="OPT", mktValue="1,000.5"))
    assert found[1].value_base is None
    assert (found.totals[0].value, found.totals[0].missing) == (Decimal("1100.5"), {missing: 1})


@pytest.mark.parametrize("changes", [{"mktPrice": None, "mktValue": None}, {"currency": "TRY", "mktValue": 0.0},
                                     {"assetClass": "XYZ"}])  # fmt: skip
def test_a_closed_position_is_worth_nothing_whatever_is_missing(changes: dict[str, Any]) -> None:
    found = one(position=0.0, **changes)
    assert found.is_closed
    assert (found.value_base, found.missing) == (Decimal(0), "")


def test_rates_are_the_accounts_own_and_never_guessed() -> None:
    assert one(currency="USD").value_base == 90
    found = holdings(row(currency="USD"), row(acctId="U2", currency="USD"), accounts=("U1", "U2"), bases="EUR USD")
    assert [(item.base, item.rate) for item in found] == [("EUR", Decimal("0.9")), ("USD", 1)]
    assert [(whole.base, int(whole.value)) for whole in found.totals] == [("EUR", 90), ("USD", 100)]
    for rate in (0, -1, "N/A", None, 1.7976931348623157e308):
        assert holdings(row(currency="USD"), USD={"exchangerate": rate})[0].rate is None


def test_pence_are_hundredths_of_pounds() -> None:
    (found,) = holdings(row(currency="GBX"), GBP={"exchangerate": 1.2})
    assert found.value_base == Decimal("1.2")
    assert one(currency="GBX").missing == "no rate for GBX"


def test_segments_belong_to_their_account() -> None:
    assert one(acctId="U1C", currency="USD").value_base == 90


@pytest.mark.parametrize(
    ("changes", "average"),
    [
        ({"avgPrice": 3.5, "avgCost": 350}, "3.5"),
        ({"assetClass": "OPT", "avgCost": 350, "multiplier": 100.0}, "3.5"),
        ({"assetClass": "OPT", "avgCost": 350, "multiplier": "100"}, "3.5"),
        ({"assetClass": "OPT", "avgCost": 350, "multiplier": None}, None),
        ({"assetClass": "OPT", "avgCost": 350, "multiplier": 0.0}, None),
        ({"avgCost": 350, "multiplier": None}, "350"),
        ({"avgCost": "N/A"}, None),
    ],
)
def test_what_a_unit_has_cost(changes: dict[str, Any], average: str | None) -> None:
    assert one(**changes).average_price == (None if average is None else Decimal(average))


@pytest.mark.parametrize(
    ("rows", "ledger", "values"),
    [
        ([("FUND", 400)], {"funds": 0.0, "moneyfunds": 400.0, "cashbalance": 10}, [400]),
        ([("FUND", 400)], {"funds": 0.0, "moneyfunds": 0.0, "cashbalance": 1000.0}, [0]),
        ([("FUND", 400)], {"funds": 0.0, "moneyfunds": 0.0, "cashbalance": 10.0}, [400]),
        ([("SWEEP", 400)], {"funds": 0.0, "moneyfunds": 0.0, "cashbalance": 1000.0}, [0]),
        ([("SWEEP", 400)], {"funds": 0.0, "moneyfunds": 400.0, "cashbalance": 1000.0}, [400]),
        ([("FUND", 300), ("MMF", 400)], {"funds": 300.0, "moneyfunds": 400.0, "cashbalance": 0}, [300, 400]),
        ([("FUND", 300), ("MMF", 400)], {"funds": 300.0, "moneyfunds": 0.0, "cashbalance": 1000}, [300, 0]),
        # The net liquidation value decides where it is stated.
        ([("FUND", 400)], {"funds": 0.0, "cashbalance": 1000.0, "netliquidationvalue": 1400.0}, [400]),
        ([("MMF", 400)], {"moneyfunds": 400.0, "cashbalance": 1000.0, "netliquidationvalue": 1000.0}, [0]),
        ([("MMF", 400)], {"cashbalance": 1000.0, "futuresonlypnl": 7.0, "netliquidationvalue": 1407.0}, [400]),
        ([("FUND", 300), ("MMF", 400)], {"funds": 700.0, "cashbalance": 0.0, "netliquidationvalue": 300.0}, [300, 0]),
        ([("SWEEP", 400)], {"cashbalance": 1000.0}, [0]),
        ([("SWEEP", 400)], None, [400]),
    ],
)
def test_no_cash_is_counted_twice(
    rows: list[tuple[str, int]], ledger: dict[str, Any] | None, values: list[int]
) -> None:
    """A fund is value if the ledger has it apart from the cash; without a ledger there is no cash to be counted."""
    held = [row(assetClass=name, mktValue=value) for name, value in rows]
    found = holdings(*held) if ledger is None else holdings(*held, EUR=ledger)
    assert [item.value for item in found] == values


def test_the_composition_adds_up() -> None:
    """Cash has what futures have made today in it: they are added nowhere."""
    found = holdings(row(), row(assetClass="FUT", mktValue=240_000.0), BASE=CASH | {"futuresonlypnl": 677.49})
    (composed,) = found.reconciliations
    assert (composed.total, composed.net_liquidation, composed.difference) == (
        Decimal("1106.5"),
        Decimal("1106.5"),
        Decimal(0),
    )
    assert composed.is_rounding
    assert found.weight(found[0]) == Decimal(100) / Decimal("1106.5")
    assert found.weight(found[1]) is None
    assert found.totals[0].exposure == 240_000


@pytest.mark.parametrize(
    ("nlv", "ledger", "text"),
    [
        (1106.51, {}, ""),
        (1104.0, {}, "the interest, which"),
        (1102.5, {}, "the dividends, which"),
        (1100.0, {}, "the interest and dividends, which"),
        (1156.5, {"futuresonlypnl": 50.0}, "what futures have made today"),
        (1176.5, {"cashbalancefxsegment": 70.0}, "the cash of the forex segment"),
        (1306.5, {"stockmarketvalue": 300.0}, "the ledger has another value for the positions"),
        (1306.5, {}, "nothing in the snapshot says"),
    ],
)
def test_a_difference_is_told_with_what_is_known_of_it(nlv: float, ledger: dict[str, Any], text: str) -> None:
    found = holdings(row(), BASE=CASH | {"stockmarketvalue": 100.0} | ledger | {"netliquidationvalue": nlv})
    assert found.reconciliations[0].explanation.startswith(text)
    assert found.reconciliations[0].is_rounding is (not text)


def test_a_hole_in_the_ledger_is_a_hole_in_the_composition() -> None:
    (composed,) = holdings(row(), BASE=CASH | {"cashbalance": "N/A"}).reconciliations
    assert (composed.cash, composed.total, composed.difference) == (None, None, None)
    assert not holdings(row(), accounts=("U1", "U2"), BASE={}).reconciliations


def test_a_summary_alone_has_the_composition_too() -> None:
    def record(amount: object) -> dict[str, object]:
        return {"amount": amount, "currency": "EUR"}

    parts = {"netliquidation": record(1106.5), "totalcashvalue": record(1000), "accruedcash": record(2.5)}
    summary = {"U1": parts | {"accrueddividend": record("4.00")}}
    (composed,) = snapshot_of({"positions": [row()], "summary": summary}).holdings().reconciliations
    assert (composed.cash, composed.dividends, composed.interest) == (Decimal(1000), Decimal(4), Decimal("2.5"))
    assert composed.is_rounding


def test_a_difference_with_holes_says_which() -> None:
    held = holdings(row(), row(mktValue=None), BASE=CASH | {"netliquidationvalue": 1200.0, "stockmarketvalue": 100.0})
    assert held.reconciliations[0].explanation == "without 1 position (no value)"


def test_fresh_rows_have_the_same_figures() -> None:
    fresh = {"conid": "1", "description": "A", "secType": "STK", "position": 2, "marketPrice": 50,
             "marketValue": 100.0, "unrealizedPnl": 5.0, "currency": "EUR", "acctId": "U1"}  # fmt: skip
    first, second = holdings(row(), fresh)
    for name in Holding.__struct_fields__:
        if name != "fields":
            assert getattr(first, name) == getattr(second, name), name


def test_rows_that_are_no_objects_are_kept() -> None:
    found = holdings(row(), 7, "x")
    assert (len(found), found.non_objects) == (1, (7, "x"))
