"""Statements as the history takes them, written by hand."""

from typing import Any

from ibkr_tools.flex.statement_xml import Statement, read_statements
from ibkr_tools.history.projection import StatementRows, project
from tests.support.flex_statements import Sections, document, head, statement


def source(sections: Sections | None = None, **changes: str) -> StatementRows:
    """Returns one statement of these sections; `changes` are of its head."""
    events = read_statements(document(statement(sections, head(**changes))))
    first = next(events)
    assert isinstance(first, Statement)
    rows = StatementRows(first)
    for event in events:
        assert not isinstance(event, Statement)
        rows.add(event)
    return rows


def records(kind: type, sections: Sections, **changes: str) -> list[Any]:
    """Returns the records of a kind that one statement with these sections makes."""
    return project([(source(sections, **changes), "a")]).records(kind)


def of(section: str, row: str, *attributes: dict[str, str]) -> Sections:
    """Returns one section with these rows."""
    return {section: [(row, one) for one in attributes]}


BASE: Sections = {"AccountInformation": [("AccountInformation", {"accountId": "U1234567", "currency": "EUR"})]}
"""What says the base currency."""
