"""Orders of import, overlaps, restatements, duplicates and missing weeks: every table comes out the same."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.history.database import DatabaseStore, new_database
from ibkr_tools.history.projection import Projection, StatementRows, project
from ibkr_tools.history.records import Coverage, Instrument
from ibkr_tools.history.sections import SECTIONS, Span
from ibkr_tools.history.tables import TABLES, from_row
from tests.support.history_sources import source

if TYPE_CHECKING:
    from tests.support.flex_statements import Sections

FIRST = date(2026, 1, 1)
KINDS = [kind for kind in TABLES if kind not in {Coverage, Instrument}]


def text(day: int) -> str:
    return f"{FIRST + timedelta(days=day):%Y%m%d}"


ROWS = {
    "EquitySummaryInBase": ("EquitySummaryByReportDateInBase", {"total": "1"}),
    "ChangeInNAV": ("ChangeInNAV", {"startingValue": "0", "endingValue": "1"}),
    "CashReport": ("CashReportCurrency", {"endingCash": "1"}),
    "OpenPositions": ("OpenPosition", {"position": "1", "conid": "1"}),
    "Trades": ("Trade", {"quantity": "1", "conid": "2"}),
    "CashTransactions": ("CashTransaction", {"type": "Dividends", "amount": "1"}),
    "CorporateActions": ("CorporateAction", {"quantity": "1"}),
    "Transfers": ("Transfer", {"cashTransfer": "1"}),
    "OpenDividendAccruals": ("OpenDividendAccrual", {"netAmount": "1"}),
    "ConversionRates": ("ConversionRate", {"fromCurrency": "USD", "toCurrency": "EUR"}),
}


@dataclass(frozen=True)
class Spec:
    """A statement: its account, days, when it was made, its sections, and on which days each has a row."""

    account: str
    first: int
    length: int
    made: int
    days: tuple[tuple[str, tuple[int, ...]], ...]

    def source(self) -> tuple[StatementRows, str]:
        """Returns the statement with a digest that follows from what is in it."""
        base = ("AccountInformation", {"currency": "EUR"})
        sections: Sections = {"AccountInformation": [base]}
        for name, days in self.days:
            element, attributes = ROWS[name]
            figure = str(self.made * 100 + self.first + 1)
            more = {"currency": "USD", "rate": figure, "fxRateToBase": "0.9", "symbol": figure}
            changed = {
                key: figure
                for key in ("total", "endingValue", "endingCash", "position", "quantity", "amount")
                if key in attributes
            }
            if name == "ChangeInNAV":
                # One element, of all days together.
                sections[name] = [(element, attributes | changed)]
                continue
            # What stands for a day alone has one row a day.
            listed = sorted(set(days)) if name in {"EquitySummaryInBase", "ConversionRates"} else days
            sections[name] = [
                (element, attributes | more | changed | {"reportDate": text(self.first + day % (self.length + 1))})
                for day in listed
            ]
        head = {"fromDate": text(self.first), "toDate": text(self.first + self.length)}
        made = source(sections, **head, accountId=self.account, whenGenerated=f"20260301;0000{self.made:02}")
        return made, digest_of(self)


def digest_of(spec: Spec) -> str:
    return hashlib.sha256(repr(spec).encode()).hexdigest()[:16]


DAYS = st.lists(st.integers(0, 6), max_size=4).map(tuple)
SPECS = st.builds(
    Spec,
    account=st.sampled_from(["U1", "U2"]),
    first=st.integers(0, 12),
    length=st.integers(0, 5),
    made=st.integers(0, 3),
    days=st.dictionaries(st.sampled_from(sorted(ROWS)), DAYS).map(lambda item: tuple(sorted(item.items()))),
)


def tables(projection: Projection) -> dict[type, list[Any]]:
    return {kind: sorted(projection.records(kind), key=repr) for kind in TABLES if kind is not Coverage} | {
        Coverage: sorted(projection.coverage(), key=repr)
    }


def in_database(sources: Sequence[tuple[StatementRows, str]]) -> dict[type, list[Any]]:
    with new_database() as connection:
        projection = Projection(DatabaseStore(connection))
        for one, digest in sources:
            projection.add(one, digest)
        projection.finish()
        found: dict[type, list[Any]] = {}
        for kind, table in TABLES.items():
            rows = connection.exec_driver_sql(f"SELECT count(*) FROM {table.name}").scalar()
            found[kind] = sorted(
                (from_row(kind, dict(row)) for row in connection.execute(table.select()).mappings()), key=repr
            )
            assert len(found[kind]) == rows
        return found


@given(st.lists(SPECS, min_size=1, max_size=6, unique_by=digest_of), st.randoms(use_true_random=False))
def test_the_order_of_import_does_not_matter(specs: list[Spec], random: Any) -> None:
    """In memory and in a database, with some of them twice."""
    sources = [spec.source() for spec in specs]
    expected = tables(project(sources))
    shuffled = [*sources, *random.choices(sources, k=2)]
    random.shuffle(shuffled)
    assert tables(project(shuffled)) == expected
    assert in_database(shuffled) == expected


@given(st.lists(SPECS, min_size=1, max_size=6, unique_by=digest_of))
def test_a_day_is_what_the_newest_statement_says(specs: list[Spec]) -> None:
    """Section by section; a day that none covers has nothing."""
    sources = [spec.source() for spec in specs]
    together: Any = project(sources)
    alone: dict[str, Any] = {digest: project([(one, digest)]) for one, digest in sources}
    for section in SECTIONS:
        if section.span is Span.WHOLE:
            continue
        for account in ("U1", "U2"):
            claims = [
                (one.statement.generated_at, digest, key)
                for one, digest in sources
                if one.statement.account == account and section.name in one.rows
                for key in section.keys(
                    one.statement, [record for kind, _ in section.records for record in alone[digest].records(kind)]
                )
            ]
            newest = {key: digest for _, digest, key in sorted(claims)}
            for kind, _ in section.records:
                found = [record for record in together.records(kind) if record.account == account]
                expected = [
                    record
                    for key, digest in sorted(newest.items())
                    for record in alone[digest].records(kind)
                    if section.key_of(record) == key
                ]
                assert found == expected
            covered = {
                (item.day + timedelta(days=number),): item.digest
                for item in together.coverage()
                if (item.account, item.section) == (account, section.name)
                for number in range((item.to_day - item.day).days + 1)
            }
            assert covered == newest
