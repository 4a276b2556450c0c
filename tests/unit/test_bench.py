"""The benchmarks' arithmetic and table: what is read off them is what was measured."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import fetching, readme
from bench.figures import Figure, Ratio, Report, month_figures, number
from bench.loss import spread
from bench.processes import BenchError, parse_kib
from bench.rows import BROKERAGE, PORTFOLIO, PUSHED, Row
from tests.support.checkout import CHECKOUT


def figure(*samples: float, **more: object) -> Figure:
    return Figure(**{"name": "a wait", "unit": "s", "samples": samples, **more})  # type: ignore[arg-type]


def test_median_is_the_middle_and_the_mean_of_two_middles() -> None:
    """One outlier does not move it."""
    assert figure(5.0, 1.0, 100.0).median == 5.0
    assert figure(4.0, 1.0, 2.0, 100.0).median == 3.0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_median_lies_between_the_extremes(samples: list[float]) -> None:
    """Whatever was measured."""
    assert min(samples) <= figure(*samples).median <= max(samples)


def test_nothing_measured_is_no_figure() -> None:
    """A round that failed cannot turn into a good value."""
    with pytest.raises(ValueError, match="nothing was measured"):
        figure()


@pytest.mark.parametrize(
    ("samples", "target", "capped", "met"),
    [
        ((3.9,), 4, 0, True),
        ((4.0,), 4, 0, False),
        ((1.0, 1.0, 9.0), 4, 0, True),
        ((3.0,), 4, 1, False),
        ((3.0,), None, 0, None),
    ],
)
def test_a_target_is_met_by_a_median_below_it(
    samples: tuple[float, ...], target: float | None, capped: int, met: bool | None
) -> None:
    """A round that was given up meets nothing, however short the patience was."""
    assert figure(*samples, target=target, capped=capped).is_met is met


def test_ratio_is_of_medians() -> None:
    """Numerator over denominator, with either kind of target."""
    theirs, ours = figure(30.0, 50.0, 40.0), figure(4.0, 4.0, 90.0)
    assert Ratio(name="r", numerator=theirs, denominator=ours).value == 10.0
    assert Ratio(name="r", numerator=theirs, denominator=ours).is_met is None
    assert Ratio(name="r", numerator=theirs, denominator=ours, at_least=10).is_met is True
    assert Ratio(name="r", numerator=theirs, denominator=ours, at_least=10.1).is_met is False
    assert Ratio(name="r", numerator=ours, denominator=theirs, at_most=0.1).is_met is True
    assert Ratio(name="r", numerator=ours, denominator=theirs, at_most=0.09).is_met is False


def test_a_wait_that_was_given_up_only_helps_the_side_that_waited_shorter() -> None:
    """The true value of a capped figure is larger: a lower bound proves `at least`, and disproves nothing else."""
    capped, exact = figure(240.0, capped=1), figure(4.0)
    assert Ratio(name="r", numerator=capped, denominator=exact, at_least=10).is_met is True
    assert Ratio(name="r", numerator=exact, denominator=capped, at_least=0.001).is_met is False
    assert Ratio(name="r", numerator=capped, denominator=exact, at_most=1000).is_met is False


def test_different_units_have_no_ratio() -> None:
    """Milliseconds over seconds would be a thousand times too good."""
    with pytest.raises(ValueError, match="cannot be divided"):
        Ratio(name="r", numerator=figure(1.0, unit="ms"), denominator=figure(1.0))


def test_table_shows_every_figure_its_target_and_whether_it_was_met() -> None:
    """Columns are as wide as their widest cell, and a missed target is marked."""
    fast, slow = figure(1.0, 2.0, 3.0, name="fast", target=4), figure(240.0, name="given up", capped=1, target=4)
    report = Report(
        facts={"machine": "two cores"},
        figures=[fast, slow, figure(12.34, name="memory", unit="MB")],
        ratios=[Ratio(name="given up / fast", numerator=slow, denominator=fast, at_least=5)],
        timeline=[(0.5, "the browser is there")],
    )
    blocks = [block.splitlines() for block in report.as_text().split("\n\n")]
    facts, figures, ratios, timeline = ([re.split(r"  +", line.strip()) for line in block] for block in blocks)
    assert facts == [["machine: two cores"]]
    assert [row[0] for row in figures[1:]] == ["fast", "given up", "memory"]
    assert [row[1] for row in figures] == ["median", "2.00 s", ">240.00 s", "12.3 MB"]
    assert [row[-1] for row in figures[1:]] == ["ok", "MISSED", "1"]
    assert ratios[1][:2] == ["given up / fast", ">120.00x"]
    assert ratios[1][-1] == "ok"
    assert timeline[-1] == ["0.50", "the browser is there"]
    for block in blocks[1:3]:
        ends = [re.match(r".*?\S  +\S+( s| MB|x)?", line) for line in block]
        assert len({match.end() for match in ends if match}) == 1, "the first column of numbers ends at one place"
    assert report.missed == ["given up"]


def test_json_has_every_sample_in_the_order_taken() -> None:
    """So that anybody can compute another statistic from a kept file."""
    report = Report(facts={"taken": "today"}, figures=[figure(3.0, 1.0, 2.0, target=4)], timeline=[(0.12345, "x")])
    document = json.loads(json.dumps(report.as_json()))
    assert document == {
        "schema": 1,
        "facts": {"taken": "today"},
        "figures": [
            {
                "name": "a wait",
                "unit": "s",
                "median": 2.0,
                "min": 1.0,
                "max": 3.0,
                "n": 3,
                "samples": [3.0, 1.0, 2.0],
                "capped": 0,
                "target": 4,
                "met": True,
            }
        ],
        "ratios": [],
        "timeline": [{"at_s": 0.123, "what": "x"}],
    }


def test_a_figure_that_was_not_taken_is_missed_loudly() -> None:
    """A ratio with a misspelt name must not become a ratio with nothing."""
    with pytest.raises(KeyError, match="cold start"):
        Report(facts={}).figure("cold start")


def test_numbers_have_the_digits_their_unit_deserves() -> None:
    """Nobody measures a millisecond to its thousandth."""
    assert [number(12.3456, unit) for unit in ("s", "ms", "MB", "x")] == ["12.35 s", "12 ms", "12.3 MB", "12.35x"]


def test_memory_is_read_from_the_kernels_lines() -> None:
    """Kibibytes in, mebibytes out; `Pss_Anon` is not `Pss`."""
    text = "Rss:  4096 kB\nPss_Anon:   1 kB\nPss:                2048 kB\n"
    assert parse_kib(text, "Pss") == 2.0
    with pytest.raises(BenchError, match="VmRSS"):
        parse_kib(text, "VmRSS")


def test_drops_are_spread_evenly_over_the_peers_period() -> None:
    """The mean of the waits is that of a loss at any time."""
    assert spread(2, 60) == [15.0, 45.0]
    assert sum(spread(7, 30)) / 7 == pytest.approx(15.0)


def test_memory_after_the_month_is_told_with_its_growth() -> None:
    """One line for its size and one for what was added, of each tier."""
    months = [
        {"tier": tier, "days": 30.0, "memory_begin_mb": 60.5, "memory_end_mb": end_mb}
        for tier, end_mb in (("portfolio", 61.0), ("brokerage", 60.0))
    ]
    assert [(one.name, one.median) for one in month_figures({"months": months})] == [
        ("after 30 days, portfolio tier: resident", 61.0),
        ("after 30 days, portfolio tier: grown by", 0.5),
        ("after 30 days, brokerage tier: resident", 60.0),
        ("after 30 days, brokerage tier: grown by", -0.5),
    ]


def test_every_loss_has_a_name_of_its_own_and_is_tried_at_least_once() -> None:
    """Ratios find figures by their names; a share of one round is still one."""
    rows = (*PORTFOLIO, *BROKERAGE)
    assert len({row.name for row in rows}) == len(rows)
    assert [row.times(1) for row in rows] == [1] * len(rows)
    assert [row.times(5) for row in rows if row.name == PUSHED] == [3]


@pytest.mark.parametrize("row", [*PORTFOLIO, *BROKERAGE], ids=lambda row: row.name)
def test_the_documentation_explains_every_loss(row: Row) -> None:
    """The table of a run has no row that nobody can look up."""
    assert f"\n| {row.name} |" in (CHECKOUT / "docs" / "benchmarks.md").read_text()


def a_run() -> dict[str, Any]:
    """Returns the JSON of a run that measured everything the README tells, each with its place in the list."""
    names = dict.fromkeys(name for _, ours, others in readme.ROWS for name in (ours, *others.values()))
    figures = [figure(float(place), name=name) for place, name in enumerate(names, 1)]
    report = Report(facts={}, figures=figures)
    ours, theirs = report.figure("fetch --jq of 237 positions"), report.figure("the same 237 with ibind 0.2.2")
    report.ratios.append(Ratio(name="r", numerator=ours, denominator=theirs, at_most=0.8))
    return report.as_json()


def test_the_readme_shows_what_the_last_run_measured(tmp_path: Path) -> None:
    """Every row with its figure, its target and what it is compared with; what is around the table stays."""
    file, results = tmp_path / "README.md", tmp_path / "results.json"
    file.write_text("before\n<!-- bench -->\n\nold\n\n<!-- /bench -->\nafter\n")
    results.write_text(json.dumps(a_run()))
    readme.write(results, file)
    text = file.read_text()
    assert text.startswith("before\n<!-- bench -->\n\n| measured, median |")
    assert text.endswith("|\n\n<!-- /bench -->\nafter\n")
    assert text.count("\n| ") == 2 + len(readme.ROWS)
    row = next(line for line in text.splitlines() if "237 positions" in line)
    assert row.startswith(r"| `fetch positions --jq '.positions\|length'`, 237 positions | ")
    assert " | ≤ 0.8 of ibind 0.2.2 | ibind 0.2.2 " in row
    assert "; curl and jq " in row


def test_the_readme_says_nothing_that_was_not_measured() -> None:
    """A run without IBeam has no column of its figures, and one that broke off has fewer rows."""
    lines = readme.table({"figures": [figure(2.0, name="cold start: session").as_json()], "ratios": []}).splitlines()
    assert lines[2:] == ["| cold start to the session | 2.00 s | | |"]


def test_the_readme_in_the_checkout_has_a_place_for_the_table() -> None:
    """Both marks, in that order, once each."""
    text = readme.README.read_text()
    assert text.count(readme.BEGIN) == text.count(readme.END) == 1
    assert text.index(readme.BEGIN) < text.index(readme.END)


def test_a_rate_counts_the_gaps() -> None:
    """Eight a second are eight gaps of an eighth."""
    assert fetching.rate([number / 8 for number in range(9)]) == 8.0
