"""`ibkr-tools fetch`: options, files, exit codes, and waiting for the session."""

import json
import re
import resource
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ibkr_tools import fetch_answer
from ibkr_tools.errors import OutputError, SessionUnavailable
from ibkr_tools.fetch.session_wait import wait_for_session
from ibkr_tools.simulator import Simulator, account_numbers
from ibkr_tools.status import FetchSection, SessionSection, SessionState, StatusFile, utc_now
from tests.support.installation import Installation

ACCOUNTS = account_numbers("U1234567", 3)

pytestmark = pytest.mark.simulator(gateway=True, user="demo-reader", accounts=ACCOUNTS)


def test_the_command_prints_json(place: Installation) -> None:
    done = place.run("fetch", "positions", "--account", "U1234567")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)["positions"]) == 237


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["--jq", ".positions | length"], "237\n"),
        (["--jq", ".positions[0].acctId"], '"U1234567"\n'),
        (["-r", "--jq", ".positions[0].acctId"], "U1234567\n"),
        (["-c", "--jq", "[.account, .schema]"], '["U1234567",1]\n'),
        (["--jq", "[.account, .schema]"], '[\n  "U1234567",\n  1\n]\n'),
        (["--jq", "empty"], ""),
        (["-r", "--jq", ".covers.accounts[], .covers.resources[]"], "U1234567\npositions\n"),
    ],
)
def test_the_command_filters(place: Installation, arguments: list[str], output: str) -> None:
    done = place.run("fetch", "positions", "--account", "U1234567", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, output, "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--jq", ".positions["], "--jq"),
        (["postions"], "did you mean 'positions'?"),
        (["position"], "--param conid=… is missing"),
        (["position", "--param", "conid"], "expected NAME=VALUE"),
        (["position", "--param", "conid=1", "--param", "conid=2"], "twice"),
        (["positions", "--param", "mode=x"], "did you mean 'model'?"),
        (["ledger", "--fresh"], "--fresh"),
        (["--table", "--format", "csv"], "--table"),
        (["--format", "csv", "ledger", "positions"], "prints one resource, and ledger, positions are named"),
        (["--table", "ledger", "positions"], "prints one resource, and ledger, positions are named"),
        (["--format", "xml"], "--format"),
        (["-r"], "-r goes with a jq program"),
        (["--arg", "a", "b"], "--arg goes with a jq program"),
        (["-r", "--jq", ".", "-f", "csv"], "-r prints as jq does"),
        (["--jq", ".", "--from-file", "x"], "two programs"),
        (["--from-file", "/nonexistent"], "No such file"),
        (["--jq", ".", "--argjson", "a", "{"], "not JSON"),
        (["--jq", ".", "--arg", "a"], "--arg"),
        (["--nonsense"], "--nonsense"),
        (["--unattended"], "--unattended is for --save"),
    ],
)
def test_a_bad_command_line_sends_nothing(
    place: Installation, simulator: Simulator, arguments: list[str], text: str
) -> None:
    before = sum(simulator.control.state()["requests"].values())
    done = place.run("fetch", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr
    assert sum(simulator.control.state()["requests"].values()) == before


def test_the_brokerage_tier_has_to_be_configured(place: Installation, simulator: Simulator) -> None:
    before = sum(simulator.control.state()["requests"].values())
    done = place.run("fetch", "orders")
    assert (done.returncode, done.stdout) == (78, "")
    assert "orders needs the brokerage tier, and session.tier is 'portfolio'" in done.stderr
    assert sum(simulator.control.state()["requests"].values()) == before


def test_parameters_and_freshness_are_said(place: Installation) -> None:
    done = place.run("fetch", "positions", "--fresh", "--param", "sort=position", "--account", "U1234568")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["covers"]["fresh"] is True
    assert found["covers"]["parameters"] == {"sort": "position"}
    assert len(found["positions"]) == 237


def test_a_slow_answer_is_remembered_with_its_age(place: Installation) -> None:
    """IBKR gives it every 15 minutes."""
    first = json.loads(place.run("fetch", "performance").stdout)
    place.rest()
    again = json.loads(place.run("fetch", "performance").stdout)
    assert "remembered" not in first["covers"]
    assert again["covers"]["remembered"]["performance"] > 0
    assert again["covers"]["parts_at"]["performance"] <= again["as_of"]
    assert again["performance"] == first["performance"]


def test_a_program_that_does_not_fit_is_told(place: Installation) -> None:
    done = place.run("fetch", "ledger", "--jq", ".positions[0].x.y | error")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_without_a_session_it_says_what_to_do(place: Installation, simulator: Simulator) -> None:
    simulator.control.drop()
    done = place.run("fetch", "ledger")
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr.splitlines()[1].startswith("hint: `ibkr-tools status` says")


def test_saving_and_printing(place: Installation) -> None:
    latest = place.directories.snapshots / "latest.json"
    done = place.run("fetch", "--save")
    assert (done.returncode, done.stdout) == (0, "")
    assert f"saved {latest}" in done.stderr
    assert len(json.loads(latest.read_bytes())["positions"]) == 3 * 237
    section = place.status.read_section(FetchSection)
    assert section
    assert (section.state, section.saved) == ("succeeded", str(latest))
    place.rest()
    done = place.run("fetch", "ledger", "--save", "--jq", ".covers.resources[0]")
    assert (done.returncode, done.stdout) == (0, '"ledger"\n')


def test_who_has_asked_is_answered(place: Installation) -> None:
    """What is printed is the answer: once the snapshot is saved, and why it is not."""
    request = place.directories.snapshot_request
    request.parent.mkdir(parents=True, exist_ok=True)
    request.touch()
    done = place.run("fetch", "--save", "--unattended")
    assert (done.returncode, done.stdout, request.exists()) == (0, "", False)
    answer = fetch_answer.read(place.directories.fetch_answer)
    assert answer is not None
    assert (answer.exit_code, [text for _, text in answer.lines]) == (0, done.stderr.splitlines())
    assert f"saved {place.directories.snapshots / 'latest.json'}" in done.stderr
    place.directories.config_file.write_text("{")
    request.touch()
    done = place.run("fetch", "--save", "--unattended")
    assert (done.returncode, request.exists()) == (78, False)
    answer = fetch_answer.read(place.directories.fetch_answer)
    assert answer is not None
    assert (answer.exit_code, [text for _, text in answer.lines]) == (78, done.stderr.splitlines())


def test_a_file_gets_what_would_be_printed(place: Installation, tmp_path: Path) -> None:
    done = place.run("fetch", "positions", "-r", "--jq", ".account", "-o", str(tmp_path / "out"))
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "out").read_text() == "U1234567\n"
    place.rest()
    done = place.run("fetch", "-o", str(tmp_path / "missing" / "out"))
    assert done.returncode == 73


def test_a_table_does_not_shrink_what_is_saved(place: Installation) -> None:
    """`--save` stores the whole snapshot, however it is shown."""
    done = place.run("fetch", "--table", "--save")
    assert done.returncode == 0, done.stderr
    assert "Quantity" in done.stdout
    latest = json.loads((place.directories.snapshots / "latest.json").read_bytes())
    assert latest["covers"]["resources"] == ["accounts", "summary", "ledger", "allocation", "positions"]


def test_the_table(place: Installation) -> None:
    done = place.run("fetch", "--table")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"net liquidation value [\d,.]+ EUR", lines[-1])
    shown, closed = re.findall(r"\d+", next(line for line in lines if " positions; " in line))
    assert int(shown) + int(closed) == 711


def test_an_account_of_somebody_else(place: Installation, simulator: Simulator) -> None:
    """Whoever typed it can type another; what the configuration says, an operator has to change."""
    assert place.run("fetch", "--account", "U9999999").returncode == 2
    place.configure(simulator.port, simulator.options.certificate, fetch={"accounts": ["U9999999"]})
    place.rest()
    done = place.run("fetch")
    assert (done.returncode, done.stdout) == (78, "")
    assert "account U9999999: not among those this user may view (U1234567, U1234568, U1234569)" in done.stderr


def test_no_gateway(place: Installation) -> None:
    place.configure(1025)
    done = place.run("fetch")
    assert done.returncode == 69
    assert "hint: systemctl start ibkr-gateway" in done.stderr


def test_no_session(place: Installation, simulator: Simulator) -> None:
    simulator.control.drop()
    done = place.run("fetch")
    assert done.returncode == 75
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_is_content(place: Installation) -> None:
    command = place.command("fetch")
    with subprocess.Popen(
        command, env=place.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 0


def test_a_disk_that_is_full_while_saving(place: Installation) -> None:
    assert place.run("fetch", "--save").returncode == 0
    latest = place.directories.snapshots / "latest.json"
    place.rest()
    before, there = latest.read_bytes(), sorted(latest.parent.iterdir())

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, resource.RLIM_INFINITY))

    done = subprocess.run(
        place.command("fetch", "--save"),
        env=place.environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,  # the child is Python, and no thread of ours forks
    )
    assert done.returncode == 73, done.stderr
    assert latest.read_bytes() == before
    assert sorted(latest.parent.iterdir()) == there


# Waiting for the session.


def up(**changes: Any) -> SessionSection:
    """Returns what a watchdog says of a living session."""
    now = utc_now()
    return msgspec.structs.replace(
        SessionSection(updated_at=now, fresh_for_s=30.0, state=SessionState.UP, since=now, why="x"), **changes
    )


def test_waiting_ends_when_the_watchdog_says_up(place: Installation) -> None:
    with subprocess.Popen(
        place.command("fetch", "accounts", "--wait", "30", "--jq", ".account"),
        env=place.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        place.status.write(up(state=SessionState.LOGGING_IN))
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        place.status.write(up())
        assert process.wait(60) == 0
        assert process.stdout
        assert process.stdout.read() == '"U1234567"\n'


def test_waiting_in_vain_says_what_is_known(tmp_path: Path) -> None:
    status = StatusFile(tmp_path / "run" / "status.json")
    with pytest.raises(SessionUnavailable, match="the watchdog has said nothing"):
        wait_for_session(status, 0.05)
    status.write(up(state=SessionState.BACKING_OFF, why="refused"))
    with pytest.raises(SessionUnavailable, match="backing-off: refused"):
        wait_for_session(status, 0.05)
    status.write(up(fresh_for_s=0.0))
    with pytest.raises(SessionUnavailable):
        wait_for_session(status, 0.05)


def test_waiting_for_ever_is_possible(tmp_path: Path) -> None:
    status = StatusFile(tmp_path / "status.json")
    status.write(up())
    wait_for_session(status, 1e12)


def test_waiting_where_nothing_can_be_watched_is_told(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file in the way")
    with pytest.raises(OutputError):
        wait_for_session(StatusFile(tmp_path / "run" / "status.json"), 0.05)
