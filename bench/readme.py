"""The table of figures in README.md, made of a run's JSON."""

import json
import math
from pathlib import Path
from typing import Any

from bench.commands import LIBRARIES
from bench.figures import number
from bench.rows import PUSHED, PUSHED_AGAIN, SILENT
from tests.support.peers import IBEAM, IBIND, peer_name

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- bench -->\n", "<!-- /bench -->"

MANY_TIMES = 100
"""Beyond this a ratio says nothing more."""

_IBEAM, _IBIND, _CURL = peer_name(IBEAM), peer_name(IBIND), "curl and jq"
_LIBRARIES = {"Typer and msgspec alone": f"import {LIBRARIES}"}

ROWS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("cold start to the session", "cold start: session", {_IBEAM: "IBeam, cold start: session"}),
    ("cold start to the first positions", "cold start: first positions", {}),
    ("cold start to the first whole snapshot", "cold start: first whole snapshot", {}),
    (f"{PUSHED}: noticed", f"{PUSHED}: noticed", {_IBEAM: "IBeam, session dropped: noticed"}),
    (f"{PUSHED}: served again", f"{PUSHED}: served again", {_IBEAM: "IBeam, session dropped: served again"}),
    ("… within a minute of the last: served again", f"{PUSHED_AGAIN}: served again", {}),
    ("session dropped, nobody tells: served again", f"{SILENT}: served again", {}),
    ("`ibkr-tools status`", "ibkr-tools status", _LIBRARIES),
    ("`ibkr-tools show positions`", "ibkr-tools show positions", _LIBRARIES),
    *(
        (
            f"{text}, {positions:,} positions",
            f"fetch --jq of {positions} positions",
            {name: f"the same {positions} with {name}" for name in (_IBIND, _CURL)},
        )
        for text, positions in ((r"`fetch positions --jq '.positions\|length'`", 237), ("the same", 5000))
    ),
    ("50 accounts of 200 positions: pages", "50 accounts of 200: pages", {"allowed": "allowed to reads"}),
    ("… refused for pacing (429)", "50 accounts of 200: refused for pacing (429)", {}),
    (
        "… most memory of the fetch",
        "50 accounts of 200: most memory of the fetch",
        {
            "its document": "50 accounts of 200: size of the document",
            "1 account of 200": "1 account of 200: most memory of the fetch",
        },
    ),
    ("4 fetches at once: refused for pacing (429)", "4 fetches at once: refused for pacing (429)", {}),
    ("… longest wait of who keeps the session alive", "4 fetches at once: the keeper's longest wait", {}),
    ("resident memory: watchdog", "watchdog, idle: resident", {_IBEAM: "IBeam's Python, after 100 requests: resident"}),
    ("resident memory: gateway's parent", "gateway parent, idle: resident", {}),
    (
        "resident memory: Java after 100 requests",
        "JVM, after 100 requests: resident",
        {_IBEAM: "IBeam's Java, after 100 requests: resident"},
    ),
)
"""What a row is called, the figure it shows, and the figures it is compared with, by whose they are."""


def table(document: dict[str, Any]) -> str:
    """Returns the table in Markdown; a row whose figure was not measured in that run is missing."""
    figures = {one["name"]: one for one in document["figures"]}
    lines = ["| measured, median | ibkr-tools | target | others, same run |", "| --- | --- | --- | --- |"]
    for name, figure, others in ROWS:
        if figure in figures:
            theirs = "; ".join(
                _compared(figures, figure, who, other) for who, other in others.items() if other in figures
            )
            cells = (name, _shown(figures[figure]), _target(document, figures, figure, others), theirs)
            lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def _shown(figure: dict[str, Any]) -> str:
    return (">" if figure["capped"] else "") + number(figure["median"], figure["unit"])


def _compared(figures: dict[str, Any], ours: str, who: str, theirs: str) -> str:
    mine = figures[ours]["median"]
    ratio = figures[theirs]["median"] / mine if mine else math.inf
    times = f"{ratio:.1f}" if ratio < MANY_TIMES else f"more than {MANY_TIMES}"
    return f"{who} {_shown(figures[theirs])} ({times} times)"


def _target(document: dict[str, Any], figures: dict[str, Any], ours: str, others: dict[str, str]) -> str:
    whose = {figure: who for who, figure in others.items()}
    parts = [] if figures[ours]["target"] is None else [f"< {figures[ours]['target']:g} {figures[ours]['unit']}"]
    for ratio in document["ratios"]:
        if ratio["numerator"] == ours and ratio["denominator"] in whose:
            parts += [
                f"{sign} {ratio[limit]:g} of {whose[ratio['denominator']]}"
                for sign, limit in (("≤", "at_most"), ("≥", "at_least"))
                if ratio[limit] is not None
            ]
    return ", ".join(parts)


def write(results: Path, readme: Path = README) -> None:
    """Puts the table of a run into the README, between its two marks."""
    before, _, rest = readme.read_text().partition(BEGIN)
    _, mark, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n{table(json.loads(results.read_bytes()))}\n{mark}{after}")
