"""Any portfolio: totals have what is value in them and nothing else, and every output has the same figures."""

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.fetch.formats import as_csv, snapshot_rows
from ibkr_tools.fetch.snapshot import Snapshot
from ibkr_tools.number_format import format_amount, parse_number
from ibkr_tools.views import format_resource
from tests.support.snapshots import snapshot_of

OWNED = ("STK", "OPT", "FOP", "WAR", "IOPT", "BOND", "BILL", "CRYPTO", "CMDTY", "PHYSS")
SETTLED = ("FUT", "ICU", "ICS")
NOTHING = ("CASH", "BAG", "IND", "NEWS", "SLB")
STRANGE = ("PDC", "XYZ", "")
NO_NUMBERS = (None, "N/A", "C198.45", "12,34", "Infinity", "NaN", 1.7976931348623157e308, 2**31 - 1, 2**63 - 1, "")
ACCOUNTS = ("U1", "U2", "U3")
CURRENCIES = ("EUR", "USD", "GBP", "TRY")


@dataclass(frozen=True)
class Stated:
    """A figure: how IBKR writes it, and which number it is; None for none."""

    written: Any
    number: Decimal | None


def _spelled(cents: int) -> st.SearchStrategy[Stated]:
    number = Decimal(cents) / 100
    return st.sampled_from([float(number), f"{number:,.2f}", f"{number:.2f}", f"{number:E}"]).map(
        lambda written: Stated(written, number)
    )


FIGURES = st.integers(-(10**9), 10**9).flatmap(_spelled) | st.sampled_from(NO_NUMBERS).map(
    lambda one: Stated(one, None)
)


@dataclass(frozen=True)
class Row:
    """A position, and what is known of it."""

    asset_class: str
    account: str
    model: str
    currency: str
    quantity: Stated
    price: Stated
    value: Stated
    profit: Stated
    is_fresh: bool

    def json(self, number: int) -> dict[str, Any]:
        """Returns the row as IBKR sends it, under a name of its own."""
        names = (
            ("description", "secType", "marketPrice", "marketValue")
            if self.is_fresh
            else ("contractDesc", "assetClass", "mktPrice", "mktValue")
        )
        fields = dict(
            zip(names, (f"N{number}X", self.asset_class, self.price.written, self.value.written), strict=True)
        )
        own = {"acctId": self.account, "conid": str(number) if self.is_fresh else number, "model": self.model}
        return own | fields | {
            "position": self.quantity.written, "currency": self.currency, "unrealizedPnl": self.profit.written
        }  # fmt: skip

    def counted(self) -> Decimal | None:
        """Returns what counts of it in its own currency."""
        if self.quantity.number == 0:
            return Decimal(0)
        if self.asset_class in OWNED:
            is_hole = self.price.number is None and self.value.number == 0
            return None if is_hole else self.value.number
        if self.asset_class == "CFD":
            return self.profit.number
        return None if self.asset_class in STRANGE else Decimal(0)


ROWS = st.builds(
    Row,
    asset_class=st.sampled_from([*OWNED, *SETTLED, "CFD", *NOTHING, *STRANGE]),
    account=st.sampled_from(ACCOUNTS),
    model=st.sampled_from(["", "", "Growth"]),
    currency=st.sampled_from(CURRENCIES),
    quantity=FIGURES,
    price=FIGURES,
    value=FIGURES,
    profit=FIGURES,
    is_fresh=st.booleans(),
)


@dataclass(frozen=True)
class World:
    """Accounts with their base currencies and rates, and what they hold."""

    rows: list[Row]
    bases: dict[str, str]
    rates: dict[str, dict[str, Stated]]

    def rate(self, row: Row) -> Decimal | None:
        """Returns what one unit of the row's currency is in the account's base currency."""
        if not self.bases[row.account]:
            return None
        if row.currency == self.bases[row.account]:
            return Decimal(1)
        found = self.rates[row.account].get(row.currency)
        return found.number if found and found.number and found.number > 0 else None

    def converted(self, row: Row, value: Decimal | None) -> Decimal | None:
        """Returns it in the base currency; nothing is nothing in every currency."""
        if value is None or not self.bases[row.account]:
            return None
        rate = self.rate(row)
        return Decimal(0) if value == 0 else None if rate is None else value * rate

    def snapshot(self) -> Snapshot:
        """Returns what a fetch of it gives."""
        ledger = {
            account: {currency: {"exchangerate": rate.written} for currency, rate in rates.items()}
            for account, rates in self.rates.items()
        }
        summary = {
            name: {"netliquidation": {"amount": 1e6, "currency": base or None}} for name, base in self.bases.items()
        }
        rows = [row.json(number) for number, row in enumerate(self.rows)]
        return snapshot_of({"positions": rows, "ledger": ledger, "summary": summary}, ACCOUNTS)


WORLDS = st.builds(
    World,
    rows=st.lists(ROWS, max_size=8),
    bases=st.fixed_dictionaries({name: st.sampled_from(["EUR", "USD", ""]) for name in ACCOUNTS}),
    rates=st.fixed_dictionaries(
        {name: st.dictionaries(st.sampled_from(CURRENCIES[:3]), FIGURES, max_size=3) for name in ACCOUNTS}
    ),
)


@given(WORLDS)
def test_totals_are_what_is_value_and_nothing_else(world: World) -> None:
    held = world.snapshot().holdings()
    assert {whole.base for whole in held.totals} == set(world.bases.values()) - {""}
    for whole in held.totals:
        rows = [row for row in world.rows if world.bases[row.account] == whole.base]
        counted = [world.converted(row, row.counted()) for row in rows]
        assert whole.value == sum(value for value in counted if value is not None)
        assert sum(whole.missing.values()) == counted.count(None)
        exposed = [row for row in rows if row.asset_class in {*SETTLED, "CFD"} and row.quantity.number != 0]
        converted = [world.converted(row, row.value.number) for row in exposed]
        assert (whole.exposure or 0) == sum(value for value in converted if value is not None)
        assert whole.missing_exposure == converted.count(None)
        assert whole.net_liquidation == Decimal(1_000_000) * list(world.bases.values()).count(whole.base)


@given(WORLDS)
def test_every_row_is_shown_exactly_once(world: World) -> None:
    snapshot = world.snapshot()
    lines = format_resource(snapshot, "positions", everything=True).splitlines()
    names = Counter(word for line in lines for word in line.split() if word.startswith("N") and word.endswith("X"))
    assert names == Counter(f"N{number}X" for number in range(len(world.rows)))
    closed = sum(1 for row in world.rows if row.quantity.number == 0)
    count = next(line for line in format_resource(snapshot, "positions").splitlines() if " position" in line)
    noun = "position" if len(world.rows) - closed == 1 else "positions"
    assert count.startswith(f"{len(world.rows) - closed} {noun}")
    assert (f"{closed} closed" in count) is bool(closed)


@given(WORLDS)
def test_tables_csv_and_python_agree_on_every_figure(world: World) -> None:
    snapshot = world.snapshot()
    held = snapshot.holdings()
    table = {words[0]: words[1] for words in _cells(format_resource(snapshot, "positions", everything=True))}
    text = b"".join(as_csv(snapshot_rows(snapshot.encode(), "positions"))).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == len(held) == len(world.rows)
    for row, found, stated in zip(rows, held, world.rows, strict=True):
        assert (row["acctId"], row["contractDesc"], row["model"]) == (found.account, found.name, found.model)
        for name, number in (("position", found.quantity), ("mktPrice", found.price), ("mktValue", found.market_value),
                             ("unrealizedPnl", found.unrealized)):  # fmt: skip
            assert parse_number(row[name]) == number
        assert found.market_value == stated.value.number
        shown = table[found.name]
        if found.market_value is not None:
            assert format_amount(found.market_value) in shown
        if found.value_base is not None:
            assert format_amount(found.value_base) in shown
    lines = format_resource(snapshot, "positions").splitlines()
    for whole in held.totals if len(held) else ():
        assert any(line.startswith("total") and format_amount(whole.value) in line.split() for line in lines)


def _cells(table: str) -> list[tuple[str, list[str]]]:
    """Returns the words of each row, by the row's own name."""
    rows = [line.split() for line in table.splitlines()[2:]]
    return [(next(word for word in words if word.startswith("N") and word.endswith("X")), words) for words in rows
            if any(word.startswith("N") and word.endswith("X") for word in words)]  # fmt: skip


@given(WORLDS)
def test_no_line_is_unbearably_wide(world: World) -> None:
    """Marks and texts of any size neither widen the table nor get into a sum."""
    text = format_resource(world.snapshot(), "positions", everything=True)
    assert max(map(len, text.splitlines())) < 260
    assert json.dumps(text)
