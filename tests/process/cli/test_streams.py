"""The command line where nothing can be written, or on odd terminals: one line, and the code of the table."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.simulation import wait_until
from tests.support.snapshots import save_simulated

DEEP = "reduce range(9000) as $i (null; [.])"


@pytest.fixture
def saved(place: Installation) -> Installation:
    """An installation with a saved snapshot."""
    save_simulated(place.directories.snapshots, datetime(2026, 11, 22, 12, tzinfo=UTC))
    return place


def shell(place: Installation, arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """Runs a command with the redirections that a shell knows.

    The shell stays above the command instead of becoming it: completion looks for its shell among the processes above.
    """
    start = " ".join(f"'{part}'" for part in place.command())
    return subprocess.run(
        ["/bin/bash", "-c", f"set -o pipefail; {start} {arguments}; exit $?"],
        env=place.environment | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


PRINTING = [
    "--help",
    "--version",
    "config",
    "show --help",
    "--show-completion bash",
    "show",
    "show positions -f csv",
    "show -r --jq .account",
    "resources",
    "status",
    "config schema",
    "config check",
    "unlock --show",
]


@pytest.mark.parametrize("arguments", PRINTING)
def test_what_cannot_be_printed_is_73(saved: Installation, arguments: str) -> None:
    """Whoever prints it: we, or Typer its help."""
    for where, reason in ((">/dev/full", "No space left on device"), (">&-", "closed")):
        done = shell(saved, f"{arguments} {where}")
        assert (done.returncode, done.stderr) == (73, f"error: standard output: {reason}\n")


@pytest.mark.parametrize("arguments", PRINTING)
def test_a_reader_that_leaves_is_content(saved: Installation, arguments: str) -> None:
    expected = shell(saved, arguments)
    for reader in ("true", "head -c1 >/dev/null"):
        done = shell(saved, f"{arguments} | {reader}")
        assert (done.returncode, done.stderr) == (expected.returncode, expected.stderr)


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize(("arguments", "code"), [("--version", 0), ("nonsense", 2), ("show nonsense", 2), ("", 2)])
def test_nobody_who_reads_messages_changes_nothing(saved: Installation, arguments: str, code: int, where: str) -> None:
    done = shell(saved, f"{arguments} {where}")
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout == shell(saved, f"{arguments} 2>/dev/null").stdout


@pytest.mark.parametrize("name", ["COLUMNS", "LINES", "TERMINAL_WIDTH"])
@pytest.mark.parametrize("value", ["999999999999", "9" * 5000, "-5", "0", "abc", "", "1e5", "65535"])
def test_a_size_that_is_none_is_nobodys_terminal(saved: Installation, name: str, value: str) -> None:
    for arguments in ("--help", "show accounts", "resources history"):
        done = saved.run(*arguments.split(), **{name: value})
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout
        assert max(map(len, done.stdout.splitlines())) < 10_000


@pytest.mark.parametrize(
    "more",
    [
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"PYTHONIOENCODING": "latin-1"},
        {"TERM": "dumb", "NO_COLOR": "1"},
        {"FORCE_COLOR": "1", "LANG": "xx_YY"},
        {"PYTHONUNBUFFERED": "1"},
    ],
    ids=str,
)
def test_any_locale_will_do(saved: Installation, more: dict[str, str]) -> None:
    """Names that are no text, and letters that a locale has not got."""
    odd = os.fsdecode(b"caf\xe9-\xff")
    place = Installation(saved.root / odd, saved.environment)
    place.configure(1025)
    for arguments, code in (
        (["show"], 0),
        (["show", "positions"], 0),
        (["show", odd], 2),
        (["show", "--file", odd], 2),
        (["show", "--jq", f'"{odd}"'], 2),
        (["show", "-o", str(saved.root / odd / "out")], 0),
        ([odd], 2),
        ([f"--{odd}"], 2),
        (["pause", "--for", odd], 2),
    ):
        done = saved.run(*arguments, **more)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
    checked = subprocess.run(
        place.command("config", "check"), env=place.environment | more, capture_output=True, check=False, timeout=60
    )
    assert (checked.returncode, checked.stderr) == (0, b"")
    assert b"fine; user demo-reader" in checked.stdout


@pytest.mark.parametrize(
    "form", [[], ["-c", "-f", "csv"], ["-f", "ndjson"], ["--table"], ["-r"], ["-o", "out"]], ids=" ".join
)
@pytest.mark.parametrize("program", [DEEP, DEEP.replace("[.]", "{a: .}"), '("["*9000+"]"*9000) | fromjson'])
def test_a_deep_result_is_one_line(saved: Installation, tmp_path: Path, form: list[str], program: str) -> None:
    """Newer Pythons print all of what older ones cannot."""
    form = [str(tmp_path / word) if word == "out" else word for word in form]
    done = saved.run("show", *form, "--jq", program)
    if sys.version_info >= (3, 12) and done.returncode == 0:
        assert done.stdout or (tmp_path / "out").stat().st_size
        return
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --jq: the result nests too deeply to be printed\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 3000, "/dev/null/x", "none/x", "/"])
def test_a_place_for_the_result_that_is_none(saved: Installation, name: str) -> None:
    done = saved.run("show", "-o", name)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (73, "", 1)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--config", "x" * 300, "gateway", "info"], 78),
        (["--config", "x" * 300, "config", "check"], 78),
        (["--runtime-dir", "/dev/null", "watchdog"], 73),
        (["--runtime-dir", "x" * 300, "watchdog"], 73),
        (["--state-dir", "/dev/null", "gateway", "install", "."], 73),
        (["--state-dir", "x" * 300, "gateway", "install", "."], 73),
        (["fetch", "--wait", "inf"], 2),
        (["fetch", "--wait", "nan"], 2),
        (["fetch", "--wait", "1e400"], 2),
        (["fetch", "--wait", "86401"], 2),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else str(value),
)
def test_places_and_waits_that_are_none(place: Installation, arguments: list[str], code: int) -> None:
    done = place.run(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) <= 2


def test_ctrl_c_while_a_result_is_written_is_130(saved: Installation) -> None:
    """Nobody reads, so the command waits in the middle of it."""
    program = '"x" * 3000000'
    with subprocess.Popen(
        saved.command("show", "-r", "--jq", program),
        env=saved.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # What runs in the background of a shell is born deaf to it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # this process has one thread
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.read(1) == b"x"
        wait_until(lambda: Path(f"/proc/{process.pid}/wchan").read_text() != "" and is_waiting(process.pid))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert b"Traceback" not in process.stderr.read()


INTERRUPTED = """\
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from ibkr_tools.cli import main
sys.argv = ["ibkr-tools", "--version"]
main()
"""
"""Gets Ctrl-C when it is about to import a module."""


@pytest.mark.parametrize(
    ("name", "code"), [("ibkr_tools.entrypoint", -signal.SIGINT), ("ibkr_tools.cli.app", 130)], ids=["early", "later"]
)
def test_ctrl_c_while_a_command_starts_leaves_no_traceback(place: Installation, name: str, code: int) -> None:
    """A shell has 130 for both."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(name=name)],
        env=place.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # this process has one thread
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def is_waiting(pid: int) -> bool:
    """Says whether a process sleeps."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"
