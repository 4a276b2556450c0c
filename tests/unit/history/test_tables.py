"""The tables: one for each kind of record, and docs/history.md lists them."""

import re
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from ibkr_tools.history.tables import TABLES, ExactNumber, from_row, to_row
from tests.support.checkout import CHECKOUT
from tests.support.flex_statements import week
from tests.support.history_sources import records


def shown() -> dict[str, tuple[list[str], list[str]]]:
    """Returns what the page says: by table its key and its other columns."""
    page = (CHECKOUT / "docs/history.md").read_text().split("## The database")[1]
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \| ([\w, ]+) \|", page, re.MULTILINE)
    return {name: (key.split(", "), columns.split(", ")) for name, key, columns in rows}


def test_the_page_lists_every_table_and_column() -> None:
    made = {
        table.name: (
            [column.name for column in table.primary_key.columns],
            [column.name for column in table.columns if not column.primary_key],
        )
        for table in TABLES.values()
    }
    assert shown() == made


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__name__)
def test_a_record_comes_back_as_it_was(kind: type) -> None:
    for record in records(kind, week()):
        assert from_row(kind, to_row(record)) == record


def test_numbers_are_exact_in_either_database() -> None:
    """As text in SQLite, as NUMERIC of any length in PostgreSQL."""
    number = ExactNumber()
    sqlite, postgres = sa.create_engine("sqlite://").dialect, postgresql.dialect()  # type: ignore[no-untyped-call]
    assert number.process_bind_param(Decimal("1E-7"), sqlite) == "0.0000001"
    assert number.process_bind_param(Decimal("1E-7"), postgres) == Decimal("1E-7")
    assert "total NUMERIC NOT NULL" in str(CreateTable(TABLES[type(records_of_values()[0])]).compile(dialect=postgres))


def records_of_values() -> list[object]:
    from ibkr_tools.history.records import AccountValue

    return list(records(AccountValue, week()))
