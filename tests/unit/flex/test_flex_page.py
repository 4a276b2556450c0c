"""docs/flex.md shows what the commands print, and what they do about each code."""

import re
from datetime import date, datetime
from io import BufferedReader, BytesIO

from ibkr_tools.cli.statement_report import describe
from ibkr_tools.flex.flex_errors import ERRORS
from ibkr_tools.flex.statement_file import StatementFile, read_statement_file
from ibkr_tools.simulator.flex_statements import statement_of
from tests.support.checkout import CHECKOUT

PAGE = (CHECKOUT / "docs/flex.md").read_text()


def made(from_day: str, to_day: str, generated_at: str) -> StatementFile:
    first, last = date.fromisoformat(from_day), date.fromisoformat(to_day)
    xml = statement_of(["U1234567"], first, last, datetime.fromisoformat(generated_at))
    return read_statement_file(BufferedReader(BytesIO(xml)))


def shown(command: str) -> list[str]:
    """Returns what the page shows below a command."""
    block = re.search(rf"    \$ sudo {command}\n(.*?)\n\n", PAGE, re.DOTALL)
    assert block is not None
    return [line.removeprefix("    ") for line in block[1].splitlines()]


def test_the_page_shows_what_a_check_prints() -> None:
    lines = describe(made("2026-10-26", "2026-11-24", "2026-11-25T06:30:00"), with_query=True)
    assert shown("ibkr-tools flex check") == ["query 1234567", *(f"  {line}" for line in lines)]


def test_the_page_shows_what_a_fetch_prints() -> None:
    lines = describe(made("2025-11-25", "2026-11-24", "2026-11-25T06:32:00"))
    assert shown("ibkr-tools flex fetch")[1:] == [f"  {line}" for line in lines]


def test_the_page_has_every_code() -> None:
    table = PAGE.split("### When no statement comes")[1].split("\n## ")[0]
    covered = {int(code) for code in re.findall(r"\b1\d{3}\b", table)}
    for first, last in re.findall(r"(1\d{3}) to (1\d{3})", table):
        covered |= set(range(int(first), int(last) + 1))
    assert covered == set(ERRORS)


def test_statements_of_the_simulator_add_up() -> None:
    file = made("2025-11-25", "2026-11-24", "2026-11-25T06:32:00")
    assert list(file.warnings()) == []
