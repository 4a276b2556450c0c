"""`ibkr-tools show` reads what was saved, sends nothing, and says what is wrong."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ibkr_tools.cli import snapshot_overview
from ibkr_tools.fetch import snapshot_store
from ibkr_tools.fetch.snapshot import Snapshot
from ibkr_tools.number_format import display_width
from ibkr_tools.views import format_resource
from tests.support.checkout import CHECKOUT
from tests.support.installation import Installation
from tests.support.snapshots import save_simulated, simulated
from tests.support.terminals import on_terminal

NOW = datetime.now(UTC)
"""When the tests began; what is three hours old is made when it is needed."""

PAGES = [CHECKOUT / "README.md", CHECKOUT / "docs/show.md"]
BLOCK = re.compile(r"<!-- show (\w+) -->\n\n    \$ ibkr-tools show \1\n(.*?)\n\n<!-- /show -->", re.DOTALL)


def shown(resource: str) -> str:
    """Returns what `ibkr-tools show` prints of the simulator's account, three hours after noon."""
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    snapshot = Snapshot(simulated(noon).encode())
    age = snapshot_overview.age_line(noon, snapshot.covers.accounts, noon + timedelta(hours=3, minutes=10))
    return f"{format_resource(snapshot, resource)}\n{age}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pages_show_what_is_printed(page: Path) -> None:
    """The blocks are the real output for the simulator's account, not what somebody typed."""
    text = page.read_text()
    blocks = BLOCK.findall(text)
    assert len(blocks) == text.count("<!-- show ") > 0
    for resource, block in blocks:
        assert [line.removeprefix("    ") for line in block.splitlines()] == shown(resource).splitlines()


def test_fetch_prints_the_same_table() -> None:
    """The demo's block in the README is what `show` prints of the same snapshot, but for its age."""
    text = (CHECKOUT / "README.md").read_text()
    block = text.split("    $ ibkr-tools fetch --table\n")[1].split("\n\n")[0]
    assert [line.removeprefix("    ") for line in block.splitlines()] == shown("positions").splitlines()[:-1]


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Installation:
    """A user with snapshots of three hours and of two days ago; neither a configuration nor a gateway."""
    installation = Installation(tmp_path, environment)
    save_simulated(installation.directories.snapshots, NOW - timedelta(days=2), accounts=2, positions=3)
    save_simulated(installation.directories.snapshots, datetime.now(UTC) - timedelta(hours=3), accounts=2)
    return installation


@pytest.mark.parametrize(
    "resource", ["positions", "summary", "ledger", "allocation", "performance", "periods", "accounts"]
)
def test_every_part_is_a_table_with_its_age(place: Installation, resource: str) -> None:
    done = place.run("show", resource)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) > 4
    assert lines[-1].startswith("saved 3 h 0 min ago, ")
    assert lines[-1].endswith(" UTC; accounts U1234567, U1234568")


def test_without_a_name_it_says_what_is_there(place: Installation) -> None:
    done = place.run("show")
    assert "positions       24 rows" in done.stdout
    assert "2 dated copies" in done.stdout


def test_one_account(place: Installation) -> None:
    done = place.run("show", "positions", "--account", "U1234568")
    assert "U1234567" not in done.stdout
    assert done.stdout.endswith("UTC; account U1234568\n")


def test_an_account_by_its_alias_and_what_is_missing(place: Installation, tmp_path: Path) -> None:
    """What did not come stands above the age of every table, and is told to who asks for it."""
    saved = json.loads(place.run("show", "-f", "json").stdout)
    saved["accounts"][1]["accountAlias"] = "Kids"
    saved["covers"]["missing_accounts"] = {"U1234569": "HTTP 500"}
    saved["covers"]["missing"] = {"user": "HTTP 503"}
    (tmp_path / "saved.json").write_text(json.dumps(saved))
    options = ("--file", str(tmp_path / "saved.json"))
    by_alias = place.run("show", "positions", "--account", "Kids", *options).stdout
    assert by_alias == place.run("show", "positions", "--account", "U1234568", *options).stdout
    assert by_alias.splitlines()[-3:-1] == ["without account U1234569: HTTP 500", "without user: HTTP 503"]
    dead = place.run("show", "positions", "--account", "U1234569", *options)
    assert (dead.returncode, "IBKR gave nothing of it" in dead.stderr) == (2, True)
    gone = place.run("show", "user", *options)
    assert (gone.returncode, "has no user: HTTP 503" in gone.stderr) == (75, True)


def test_an_older_copy(place: Installation) -> None:
    done = place.run("show", "positions", "-f", "csv", "--at", f"{NOW - timedelta(days=2):%Y-%m-%d}")
    assert len(done.stdout.splitlines()) == 1 + 2 * 3
    copy = snapshot_store.list_copies(place.directories.snapshots)[0].path
    assert place.run("show", "positions", "-f", "csv", "--file", str(copy)).stdout == done.stdout


def test_the_data_are_what_fetch_would_print(place: Installation) -> None:
    done = place.run("show", "ledger", "-f", "json", "--account", "U1234567")
    found = json.loads(done.stdout)
    assert list(found) == ["schema", "as_of", "account", "covers", "ledger"]
    assert list(found["ledger"]) == found["covers"]["accounts"] == ["U1234567"]
    assert len(place.run("show", "positions", "--format", "ndjson").stdout.splitlines()) == 24
    assert place.run("show", "--jq", ".positions | length").stdout == "24\n"
    assert place.run("show", "-r", "--jq", ".covers.accounts[]").stdout == "U1234567\nU1234568\n"
    program = ("--arg", "which", "U1234568", "-f", "csv", "--jq", ".positions[] | select(.acctId == $which)")
    assert len(place.run("show", *program).stdout.splitlines()) == 13


def test_compact_means_json(place: Installation) -> None:
    assert place.run("show", "positions", "-c").stdout == place.run("show", "positions", "-f", "json").stdout


def test_a_table_goes_into_a_file(place: Installation, tmp_path: Path) -> None:
    done = place.run("show", "ledger", "-o", str(tmp_path / "ledger.txt"))
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "ledger.txt").read_text().startswith("Account   Currency")


def test_numbers_are_printed_as_ibkr_wrote_them(place: Installation) -> None:
    text = place.run("show", "ledger", "-f", "json").stdout
    assert "9007199254740993" in text


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["positin"], 2, "did you mean 'position'?"),
        (["trades"], 78, 'Add "trades" to fetch.resources'),
        (["transactions"], 78, "It needs a parameter: `ibkr-tools resources transactions`"),
        (["positions", "--account", "u1234567"], 2, "Did you mean 'U1234567'?"),
        (["positions", "--account", "U9"], 2, "account U9: not in the snapshot, which has U1234567, U1234568"),
        (["--at", "yesterday"], 2, "no day such as 2026-11-22"),
        (["--at", "2020-01-01"], 2, "2 dated copies, "),
        (["--file", "/nonexistent"], 2, "/nonexistent: No such file"),
        (["--file", "/etc/passwd"], 65, "not a snapshot of ibkr-tools"),
        (["--file", "/x", "--at", "2020-01-01"], 2, "give one of them"),
        (["positions", "-f", "csv", "-r", "--jq", "."], 2, "-r prints as jq does"),
        (["-f", "csv"], 2, "one list at a time"),
        (["--jq", ".x["], 2, "--jq"),
        (["performance", "--account", "U1234567"], 2, "together"),
    ],
)
def test_what_is_wrong_is_told(place: Installation, arguments: list[str], code: int, text: str) -> None:
    done = place.run("show", *arguments)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_saved_yet(tmp_path: Path, environment: dict[str, str]) -> None:
    done = Installation(tmp_path, environment).run("show", "positions")
    assert (done.returncode, done.stdout) == (75, "")
    assert "nothing has been saved" in done.stderr
    assert "hint: `ibkr-tools fetch --save` saves a snapshot" in done.stderr


@pytest.mark.parametrize("data", [b"", b'{"schema":1', b"\x1f\x8b\x08broken", b'{"schema":9}'])
def test_a_damaged_snapshot_is_told(place: Installation, data: bytes) -> None:
    (place.directories.snapshots / snapshot_store.LATEST_FILE).write_bytes(data)
    done = place.run("show", "positions")
    assert (done.returncode, done.stdout) == (65, "")
    assert done.stderr.startswith(f"error: {place.directories.snapshots / snapshot_store.LATEST_FILE}: ")


def test_the_copies_are_listed_the_newest_first(place: Installation) -> None:
    """Each as --at takes it."""
    rows = json.loads(place.run("show", "--list", "-f", "json").stdout)
    times = [row["at"] for row in rows]
    assert len(times) == 2
    assert times == sorted(times, reverse=True)
    assert place.run("show", "positions", "--at", times[1]).returncode == 0
    lines = place.run("show", "--list").stdout.splitlines()
    assert lines[2].startswith(times[0])
    assert lines[-1].startswith("2 dated copies, ")


def test_nothing_to_list_is_no_fault(place: Installation) -> None:
    done = place.run("--state-dir", str(place.root / "empty"), "show", "--list")
    assert (done.returncode, "`ibkr-tools fetch --save` saves one" in done.stdout) == (0, True)


@pytest.mark.parametrize("more", [["positions"], ["--at", "2026-11-22"], ["--file", "x"], ["--account", "U1234567"]])
def test_a_list_is_about_all_copies(place: Installation, more: list[str]) -> None:
    done = place.run("show", "--list", *more)
    assert (done.returncode, done.stderr.startswith("error: --list is about all copies")) == (2, True)


@pytest.mark.parametrize("columns", [80, 100, 132])
@pytest.mark.parametrize(
    "resource", ["positions", "ledger", "summary", "allocation", "performance", "periods", "accounts"]
)
def test_no_line_wraps_at_80_columns_and_more(place: Installation, resource: str, columns: int) -> None:
    """What is missing is counted; --all has it."""
    environment = place.environment | {"TERM": "dumb"}
    environment.pop("COLUMNS", None)
    code, text = on_terminal(place.command("show", resource), environment, columns=columns)
    assert code == 0
    assert max(map(display_width, text.splitlines())) <= columns
    _, whole = on_terminal(place.command("show", resource, "--all"), environment, columns=columns)
    assert "left out" not in whole


def test_what_is_longer_than_the_terminal_goes_to_the_pager(place: Installation) -> None:
    """What is shorter does not, nor does anything that is no table."""
    environment = place.environment | {"TERM": "xterm", "PAGER": "sed 's/^/paged: /'"}
    environment.pop("LINES", None)
    command = place.command("show", "positions")
    assert on_terminal(command, environment, lines=20)[1].startswith("paged: Account")
    assert on_terminal(command, environment, lines=500)[1].startswith("Account")
    assert on_terminal([*command, "-f", "csv"], environment, lines=20)[1].startswith("acctId")
    assert on_terminal(command, environment | {"PAGER": "cat"}, lines=20)[1].startswith("Account")
    assert on_terminal(command, environment | {"PAGER": "/nonexistent"}, lines=20)[1].count("Account") == 1
