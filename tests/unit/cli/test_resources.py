"""`ibkr-tools resources`: every read is told with what goes with it, for eyes, for scripts and in the documentation."""

import json

import pytest
from typer.testing import CliRunner, Result

from ibkr_tools.cli import resource_tables as view
from ibkr_tools.cli.app import app
from ibkr_tools.errors import UsageError
from ibkr_tools.portal.endpoints import READS, Endpoint, Tier
from tests.support.checkout import CHECKOUT

ALL = list(READS.values())


def run(*arguments: str, columns: int = 120) -> Result:
    """Runs the command as in a terminal of so many columns."""
    return CliRunner().invoke(app, ["resources", *arguments], env={"COLUMNS": str(columns)})


@pytest.mark.parametrize("width", [60, 80, 99, 100, 120, 132])
def test_the_table_has_every_resource_and_fits(width: int) -> None:
    lines = view.as_table(None, width).splitlines()
    assert max(map(len, lines)) <= width
    assert {line.split()[0] for line in lines if line.startswith("  ")} >= set(READS)


@pytest.mark.parametrize("tier", list(Tier))
def test_one_tier_alone(tier: Tier) -> None:
    rows = [line.split() for line in view.as_table(tier, 120).splitlines() if line[:3].strip()]
    named = {row[0] for row in rows if len(row) > 1 and row[1] in set(Tier)}
    assert named == {one.name for one in ALL if one.tier is tier}


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_one_resource_in_full(one: Endpoint) -> None:
    """Endpoint, tier, every parameter, and a command that gives all that is needed; it fits a small terminal."""
    text = view.as_detail(one, 80)
    assert f"{one.method} /v1/api{one.path}" in text
    assert one.tier.value in text
    assert max(map(len, text.splitlines()[:-1])) <= 80
    example = text.splitlines()[-1]
    assert example.startswith(f"  ibkr-tools fetch {one.name}")
    for parameter in one.parameters:
        if parameter.name != "acctIds":
            assert f"\n  {parameter.name} " in text
            assert (f"--param {parameter.name}=" in example) == parameter.required


def test_slow_resources_say_how_slow() -> None:
    assert "once in 15 min; asked again" in view.as_detail(READS["performance"], 132)
    assert "once in 5 s" in view.as_detail(READS["orders"], 132)


def test_a_resource_by_either_spelling() -> None:
    assert run("brokerage-accounts").stdout == run("brokerage_accounts").stdout


def test_an_unknown_resource_is_told_with_the_closest() -> None:
    error = run("postions").exception
    assert isinstance(error, UsageError)
    assert "did you mean 'positions'?" in str(error)


def test_an_unknown_tier_is_told_with_both() -> None:
    error = run("--tier", "gold").exception
    assert isinstance(error, UsageError)
    assert "portfolio, brokerage" in str(error)


def test_scripts_get_json() -> None:
    rows = json.loads(run("--json").stdout)
    assert [row["name"] for row in rows] == list(READS)
    assert {row["name"] for row in json.loads(run("--json", "--tier", "portfolio").stdout)} < set(READS)
    history = json.loads(run("history", "--json").stdout)
    assert history in rows
    assert (history["method"], history["tier"], history["records_path"]) == ("GET", "brokerage", "data")
    conid, period = history["parameters"][:2]
    assert (conid["name"], conid["location"], conid["type"], conid["required"]) == ("conid", "query", "integer", True)
    assert period["default"] == "1w"
    assert not [row for row in rows for one in row["parameters"] if one["name"] == "acctIds"]


def test_the_page_of_resources_is_the_table() -> None:
    """`ibkr-tools resources --markdown >docs/resources.md` makes it anew."""
    assert (CHECKOUT / "docs/resources.md").read_text() == run("--markdown").stdout == view.as_markdown()
