"""`ibkr-tools diff`: between statements, and its exit code."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT
from tests.support.flex_statements import document, head, statement, week
from tests.support.installation import Installation
from tests.support.snapshots import save_simulated


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Installation:
    """A user who has imported two weeks: the fund has risen, and five more were bought."""
    installation = Installation(tmp_path / "place", environment)
    installation.configure(5000)
    (tmp_path / "one.xml").write_bytes(document())
    sections = week()
    for _, row in sections["OpenPositions"]:
        row |= {"reportDate": "20260116", "position": "15", "markPrice": "110", "positionValue": "1650"}
    days = {"fromDate": "20260112", "toDate": "20260116", "whenGenerated": "20260117;063000"}
    (tmp_path / "two.xml").write_bytes(document(statement(sections, head(**days))))
    assert installation.run("flex", "import", str(tmp_path / "one.xml"), str(tmp_path / "two.xml")).returncode == 0
    return installation


def test_between_the_ends_of_two_statements(place: Installation) -> None:
    done = place.run("diff", "2026-01-09", "2026-01-16", "-f", "json")
    assert done.returncode == 1, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["name"], row["change"], row["before"], row["after"]) == ("VWRL", "changed", 10, 15)
    assert row["value_change"] == pytest.approx(row["by_quantity"] + row["by_price"] + row["by_currency"])
    assert row["by_quantity"] == pytest.approx(495)
    assert place.run("diff").stdout == place.run("diff", "2026-01-09", "2026-01-16").stdout


def test_the_page_shows_what_is_printed(place: Installation) -> None:
    page = (CHECKOUT / "docs/show.md").read_text()
    text = page.split("    $ ibkr-tools diff 2026-01-09 2026-01-16\n")[1].split("\n\n")[0]
    shown = [line.removeprefix("    ") for line in text.splitlines()]
    assert place.run("diff", "2026-01-09", "2026-01-16").stdout.splitlines() == shown


def test_snapshots_come_first(place: Installation) -> None:
    """Where something was saved it is compared with the copy of a day before, else with a statement."""
    save_simulated(place.directories.snapshots, datetime(2026, 1, 20, 12, tzinfo=UTC), positions=3)
    done = place.run("diff", "-f", "json")
    assert done.returncode == 1, done.stderr
    assert {row["change"] for row in json.loads(done.stdout)} == {"new", "gone"}
    assert place.run("diff", "2026-01-20", "2026-01-20T12:00").returncode == 0
    save_simulated(place.directories.snapshots, datetime(2026, 1, 21, 12, tzinfo=UTC), positions=4)
    done = place.run("diff", "-f", "json")
    assert "gone" not in {row["change"] for row in json.loads(done.stdout)}


def test_nothing_has_changed(place: Installation) -> None:
    done = place.run("diff", "2026-01-16", "2026-01-16")
    assert done.returncode == 0
    assert done.stdout.startswith("nothing has changed in 1 position")
    done = place.run("diff", "2026-01-09", "--account", "U9999999")
    assert (done.returncode, done.stderr) == (0, "note: U9999999: has no position at either time\n")


@pytest.mark.parametrize("when", ["2026-01-10", "yesterday", "10.01.2026"])
def test_there_is_neither_copy_nor_statement(place: Installation, when: str) -> None:
    done = place.run("diff", when)
    assert (done.returncode, done.stdout) == (2, "")
    assert when in done.stderr
    is_day = when.startswith("2026")
    assert ("no statement that ends on it" in done.stderr) == is_day
    assert ("`ibkr-tools flex list`" in done.stderr) == is_day


def test_without_anything(place: Installation) -> None:
    place.directories.history.unlink()
    assert place.run("diff").returncode == 75
    save_simulated(place.directories.snapshots, datetime(2026, 1, 20, 12, tzinfo=UTC), positions=3)
    done = place.run("diff")
    assert done.returncode == 75
    assert "nothing was saved before 2026-01-20" in done.stderr
    assert "`ibkr-tools show --list`" in done.stderr


def test_an_account_that_only_one_side_has_is_left_out(place: Installation, tmp_path: Path) -> None:
    """Neither bought nor sold: nobody knows."""
    days = {"fromDate": "20260112", "toDate": "20260116", "whenGenerated": "20260117;063000"}
    (tmp_path / "other.xml").write_bytes(document(statement(week(), head(accountId="U7654321", **days))))
    done = place.run("flex", "import", "--account", "U7654321", str(tmp_path / "other.xml"))
    assert done.returncode == 0, done.stderr
    done = place.run("diff", "2026-01-09", "2026-01-16", "-f", "json")
    assert [row["account"] for row in json.loads(done.stdout)] == ["U1234567"]
    assert "warning: U7654321 left out: nothing is known of it at the end of 2026-01-09" in done.stderr
    done = place.run("diff", "2026-01-09", "2026-01-16", "--account", "U1234567")
    assert (done.returncode, done.stderr) == (1, "")


def test_values_in_two_base_currencies_have_no_difference(place: Installation, tmp_path: Path) -> None:
    sections = week()
    for _, row in sections["EquitySummaryInBase"]:
        row |= {"currency": "USD", "reportDate": "20260123"}
    for _, row in sections["OpenPositions"]:
        row |= {"reportDate": "20260123", "position": "15"}
    days = {"fromDate": "20260119", "toDate": "20260123", "whenGenerated": "20260124;063000"}
    (tmp_path / "three.xml").write_bytes(document(statement(sections, head(**days))))
    assert place.run("flex", "import", str(tmp_path / "three.xml")).returncode in {0, 65}
    done = place.run("diff", "2026-01-09", "2026-01-23", "-f", "json")
    (row,) = json.loads(done.stdout)
    assert (row["before"], row["after"], row["value_change"], row["by_currency"]) == (10, 15, None, None)
    assert "warning: U1234567: the base currency was EUR and is USD: values are left out" in done.stderr
