"""No table is wider than its terminal: of every read, as the simulator answers it and with texts of odd widths."""

import json
import re
from typing import Any

import pytest

from ibkr_tools.cli.printing import as_lines
from ibkr_tools.fetch.snapshot import Snapshot
from ibkr_tools.number_format import display_width
from ibkr_tools.portal.endpoints import READS
from ibkr_tools.simulator import Simulator
from ibkr_tools.views import format_resource
from ibkr_tools.views.text_table import wrap_lines
from tests.simulator.test_every_read import fetched, simulator

__all__ = ["simulator"]

ODD = " 日本電信電話株式会社 👩\u200d👩\u200d👧 Cafe\u0301 \u202eسلم عليكم\u200b\x1b[31m ﷽ \t &amp; x\n" * 3
"""Two columns a letter, none, several letters that are one; the other direction; what would move a cursor."""


def odd(value: Any) -> Any:
    """Returns JSON whose texts, but for numbers, accounts and names of three letters, go on like that."""
    if isinstance(value, dict):
        return {key: odd(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [odd(inner) for inner in value]
    return value + ODD if isinstance(value, str) and re.match(r"\D{4}", value) else value


def columns_of(text: str) -> int:
    """Returns how many columns the tables of a text have, with those that it says are left out."""
    rules = [re.findall(r"^─+(?:  ─+)*$", table, re.MULTILINE) for table in text.split("\n\n")]
    shown = sum(len(found[0].split()) for found in rules if found)
    return shown + sum(int(count) for count in re.findall(r"^(\d+) columns? left out", text, re.MULTILINE))


@pytest.mark.parametrize("is_odd", [False, True], ids=["", "odd"])
@pytest.mark.parametrize("name", READS)
def test_the_table_of_a_read_fits(simulator: Simulator, name: str, is_odd: bool) -> None:
    """From 80 columns on; what is left out is counted, and nothing is with --all."""
    document = fetched(simulator, name)
    if is_odd:
        document[name] = odd(document[name])
    snapshot = Snapshot(json.dumps(document).encode())
    whole = format_resource(snapshot, name)
    assert "left out" not in format_resource(snapshot, name, everything=True)
    for width in (80, 100, 132):
        text = format_resource(snapshot, name, width=width)
        if text[0] in "{[":
            continue
        shown = as_lines(wrap_lines(text, width)).decode()
        assert [line for line in shown.split("\n") if display_width(line) > width] == []
        assert columns_of(text) == columns_of(whole)
