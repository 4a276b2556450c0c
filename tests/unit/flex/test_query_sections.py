"""What a query lacks is told in the words of IBKR's form."""

from ibkr_tools.flex.query_sections import SECTIONS, form_name, missing_from_query, not_shown
from tests.support.checkout import CHECKOUT
from tests.support.flex_statements import week


def attributes(sections: dict[str, list[tuple[str, dict[str, str]]]]) -> dict[str, set[str]]:
    """Returns the attributes by row, as the checks collect them."""
    found: dict[str, set[str]] = {}
    for rows in sections.values():
        for name, row in rows:
            found.setdefault(name, set()).update(row)
    return found


def test_a_section_without_rows_that_always_has_some_is_not_ticked() -> None:
    sections = {name: rows for name, rows in week().items() if name != "CashReport"}
    assert missing_from_query(attributes(sections)) == ["not ticked: Cash Report"]


def test_a_field_is_missed_by_its_name_in_the_form() -> None:
    sections = week()
    for _, row in sections["CashTransactions"]:
        del row["currency"], row["conid"]
    assert missing_from_query(attributes(sections)) == ["Cash Transactions without CurrencyPrimary, Conid"]


def test_nothing_is_missed_of_a_whole_query() -> None:
    assert missing_from_query(attributes(week())) == []


def test_the_others_are_named_without_a_verdict() -> None:
    """Without trades in its days a statement has none, whether they are ticked or not."""
    absent = not_shown(set(week()))
    assert "Trades" in absent
    assert "Cash Report" not in absent
    assert "Open Positions" not in absent


def test_names_stand_once() -> None:
    for names in ([section.form_name for section in SECTIONS], [section.element for section in SECTIONS]):
        assert len(names) == len(set(names))
    assert form_name("tradePrice") == "TradePrice"


def test_the_page_has_the_same_sections_and_options() -> None:
    """docs/flex.md is what somebody ticks who makes a query."""
    table = (CHECKOUT / "docs/flex.md").read_text().split("| section |")[1].split("\n\n")[0].splitlines()[2:]
    assert table == [f"| {section.form_name} | {section.options} |".replace("|  |", "| |") for section in SECTIONS]
