"""What a shell is told that can stand on a line: commands, options, resources, accounts, days. Nothing but files."""

import json
from pathlib import Path

import pytest

from ibkr_tools.cli.completion import complete
from ibkr_tools.cli.completion_scripts import SCRIPTS, read_script
from ibkr_tools.errors import UsageError
from ibkr_tools.fetch import snapshot_store
from tests.support.installation import Installation
from tests.support.stored_snapshots import DAY, NOON, document


def words(*typed: str) -> list[str]:
    """Returns what can stand in the place of the last word."""
    return [line.split("\t")[0] for line in complete("words", typed).splitlines()]


@pytest.fixture
def saved(place: Installation) -> Installation:
    """A configuration with two accounts, and copies of two days."""
    place.configure(5000, fetch={"accounts": ["U7654321"]})
    for number in (1, 0):
        snapshot_store.save(place.directories.snapshots, document(), 30, NOON - number * DAY)
    return place


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (("fet",), ["fetch"]),
        (("history", "val"), ["values"]),
        (("show", "--co"), ["--compact-output", "--columns"]),
        (("fetch", "positions2"), ["positions2"]),
        (("resources", "trading"), ["trading_schedule"]),
        (("fetch", "transactions", "--param", "cur"), ["currency="]),
        (("history", "income", "--by", "m"), ["month"]),
        (("history", "income", "--by=m"), ["--by=month"]),
        (("fetch", "--format", "n"), ["ndjson"]),
        (("resources", "--tier", ""), ["portfolio", "brokerage"]),
        (("--config", "x"), [":file"]),
        (("--state-dir", ""), [":directory"]),
        (("fetch", "-o", "po"), [":file"]),
        (("flex", "import", ""), [":file"]),
        (("gateway", "install", ""), [":file"]),
        (("--show-completion", ""), ["bash", "zsh", "fish"]),
        (("fetch", "--account"), ["--account"]),
    ],
)
def test_a_word_is_completed(typed: tuple[str, ...], expected: list[str]) -> None:
    assert words(*typed) == expected


def test_a_word_has_its_meaning_beside_it() -> None:
    assert complete("words", ["resources", "trades"]) == "trades\texecutions of the last days\n"


def test_accounts_are_those_of_the_configuration_and_of_the_last_snapshot(saved: Installation) -> None:
    assert words(*saved.options, "fetch", "--account", "") == ["U1234567", "U7654321"]
    saved.directories.config_file.write_text("{")
    assert words(*saved.options, "show", "--account", "U") == ["U1234567"]


def test_days_are_those_of_copies_the_newest_first(saved: Installation) -> None:
    days = ["2026-11-22", "2026-11-21"]
    assert words(*saved.options, "show", "--at", "") == [*days, "2026-11-22T12:00", "2026-11-21T12:00"]
    assert words(*saved.options, "diff", "2026-11-21T") == ["2026-11-21T12:00"]
    assert words(*saved.options, "diff", "2026-11-21", "2026-11-22") == ["2026-11-22", "2026-11-22T12:00"]


def test_parts_are_those_of_the_last_snapshot(saved: Installation) -> None:
    assert words(*saved.options, "show", "") == ["user"]


def test_without_anything_saved_the_parts_are_those_of_a_snapshot(place: Installation) -> None:
    assert words(*place.options, "show", "pos") == ["positions"]


def test_what_cannot_be_read_has_no_words(place: Installation) -> None:
    """A damaged configuration or snapshot, another instance: nothing is said, and nothing goes wrong."""
    place.configure(5000)
    place.directories.config_file.write_text("{")
    place.directories.snapshots.mkdir(parents=True)
    (place.directories.snapshots / "latest.json").write_text("[]")
    assert words(*place.options, "fetch", "--account", "") == []
    assert words("--config", str(place.directories.config_file), "show", "--at", "") == []


def test_a_foreign_text_is_one_line_and_moves_no_cursor(place: Installation) -> None:
    """The part of a saved snapshot may have any name."""
    snapshot = json.loads(document().encode())
    name = "a\nb\x1b[2J"
    snapshot[name] = snapshot.pop("user")
    snapshot["covers"]["resources"] = [name]
    place.directories.snapshots.mkdir(parents=True)
    (place.directories.snapshots / "latest.json").write_text(json.dumps(snapshot))
    assert complete("words", [*place.options, "show", ""]) == "a b [2J\t\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ibkr-tools fet", ["fetch"]),
        ("ibkr-tools fetch ", []),
        ("ibkr-tools  history  income --by 'mon", ["month"]),
        ("/usr/local/bin/ibkr-tools history income --by=y", ["--by=year"]),
    ],
)
def test_a_whole_line_is_split_as_a_shell_does(line: str, expected: list[str]) -> None:
    found = [answer.split("\t")[0] for answer in complete("line", [line]).splitlines()]
    assert found == expected if expected else len(found) > 50


def test_another_version_of_a_script_is_told_nothing() -> None:
    assert complete("complete_bash", ["fetch", ""]) == ""


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_each_shell_has_a_script_that_says_whose_it_is(shell: str) -> None:
    """bin/uninstall removes only what says so."""
    assert "ibkr-tools/ibkr-tools" in read_script(shell)


def test_a_shell_without_a_script_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(UsageError, match="bash, zsh, fish"):
        read_script("tcsh")


def test_every_script_is_of_a_shell() -> None:
    folder = Path(__file__).parents[3] / "ibkr_tools/cli/shells"
    assert {path.name for path in folder.iterdir()} == set(SCRIPTS.values())
