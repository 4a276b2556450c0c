"""What IBKR's texts may do to a terminal: nothing, in whatever form they are printed. A file gets every byte."""

import itertools
import subprocess
import sys
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools import entrypoint
from ibkr_tools.cli.progress import ProgressLine
from ibkr_tools.errors import DataError
from ibkr_tools.fetch import snapshot_store
from ibkr_tools.terminal_escape import escape_control_characters, escape_for_terminal
from tests.support.installation import Installation
from tests.support.snapshots import document_of
from tests.support.terminals import on_terminal

HOSTILE = "\x1b[2J\x1b]0;title\x07\x9b31m\x08\x7f\rover\u202eright\u2066\u200f\x85\u2028"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OBEYED = [letter for letter in HOSTILE if not letter.isprintable()]


@pytest.fixture
def snapshot(place: Installation) -> Installation:
    """A saved snapshot in which IBKR has texts that could do something to a terminal."""
    row = {"acctId": "U1234567", "conid": 1, "contractDesc": HOSTILE, HOSTILE: HOSTILE, "mktValue": 1.5, "position": 1}
    # Raw where JSON allows it, as IBKR might send it.
    rows = msgspec.json.encode([row])
    meta = msgspec.json.encode({"U1234567": {"name": HOSTILE}})
    parts = {"accounts": b'[{"id":"U1234567"}]', "positions": rows, "meta": meta}
    snapshot_store.save(place.directories.snapshots, document_of(parts, ("U1234567",), NOW), 0, NOW)
    return place


FORMS = [
    ["show"],
    ["show", "positions"],
    ["show", "meta"],
    ["show", "positions", "--table"],
    ["show", "positions", "-f", "json"],
    ["show", "positions", "-c"],
    ["show", "positions", "-f", "csv"],
    ["show", "positions", "-f", "ndjson"],
    ["show", "-r", "--jq", ".positions[].contractDesc"],
    ["show", "-j", "--jq", ".positions[].contractDesc"],
    ["show", "--jq", ".positions"],
    ["show", "--table", "--jq", ".positions"],
    ["show", "-f", "csv", "--jq", ".positions"],
    ["show", "--jq", ".positions[0].contractDesc | error"],
    ["show", "--jq", f'"{HOSTILE[:8]}" | error'],
    ["show", "positions", "-f", "csv", "-o", "/dev/stdout"],
    ["show", "-r", "--jq", ".positions[].contractDesc", "-o", "/dev/tty"],
]


@pytest.mark.parametrize("arguments", FORMS, ids=" ".join)
def test_a_terminal_is_told_nothing(snapshot: Installation, arguments: list[str]) -> None:
    _, text = on_terminal(["setsid", "-c", *snapshot.command(*arguments)], snapshot.environment | {"TERM": "xterm"})
    assert text
    for letter in OBEYED:
        assert letter not in text, f"{letter!r} in {text!r}"


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "--\x1b[2J", "\x9b31m"])
def test_neither_is_it_by_what_was_typed(snapshot: Installation, name: str) -> None:
    """A file's name may be a stranger's."""
    for arguments in (["show", "--file", name], ["show", name], ["api", name], [name], ["show", "--at", name]):
        code, text = on_terminal(snapshot.command(*arguments), snapshot.environment | {"TERM": "dumb", "NO_COLOR": "1"})
        assert code == 2, text
        assert "\x1b" not in text
        assert "\x9b" not in text


def test_a_file_and_a_pipe_get_every_byte(snapshot: Installation) -> None:
    for arguments, expected in (
        (["show", "-j", "--jq", ".positions[].contractDesc"], HOSTILE),
        (["show", "-f", "csv", "--jq", ".positions[0].contractDesc"], f'value\r\n"{HOSTILE}"\r\n'),
    ):
        done = subprocess.run(
            snapshot.command(*arguments), env=snapshot.environment, capture_output=True, check=True, timeout=30
        )
        assert done.stdout.decode() == expected
        out = snapshot.root / "out"
        subprocess.run(snapshot.command(*arguments, "-o", str(out)), env=snapshot.environment, check=True, timeout=30)
        assert out.read_bytes() == done.stdout


@pytest.mark.parametrize("arguments", [["show"], ["show", "positions"], ["show", "meta"], ["show", "accounts"]])
def test_a_table_is_for_people_wherever_it_goes(snapshot: Installation, arguments: list[str]) -> None:
    done = snapshot.run(*arguments)
    assert done.returncode == 0
    assert not [letter for letter in OBEYED if letter in done.stdout]


def test_messages_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    def program() -> int:
        raise DataError(f"IBKR says {HOSTILE}", hint=HOSTILE)

    assert entrypoint.run(program, verbose=True) == 65
    err = capsys.readouterr().err
    assert "IBKR says \\u001b[2J" in err
    assert not [letter for letter in OBEYED if letter in err]


@pytest.mark.parametrize(
    "call", ["log.setup(); from loguru import logger; logger.warning({!r})", 'log.write("WARNING", {!r})']
)
def test_log_lines_are_harmless(environment: dict[str, str], call: str) -> None:
    program = f"from ibkr_tools import log; {call.format(HOSTILE)}"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True, timeout=30)
    text = done.stderr.decode()
    assert "WARNING" in text
    assert "\\u001b[2J" in text
    assert not [letter for letter in OBEYED if letter in text]


def test_the_progress_is_one_line() -> None:
    line = ProgressLine(None)
    line(f"GET {HOSTILE}\n\tx")
    assert line.text(0.0).isprintable()


@given(st.text(alphabet=st.characters(), max_size=40))
def test_what_is_shown_can_be_seen(text: str) -> None:
    shown = escape_control_characters(text)
    assert not [letter for letter in shown if letter in OBEYED]
    assert escape_control_characters(shown) == shown
    assert escape_control_characters("plain — Köln 東京 👩‍👩‍👧\t\n") == "plain — Köln 東京 👩‍👩‍👧\t\n"


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_pieces_end_anywhere(data: bytes, cuts: list[int]) -> None:
    """In a letter, or between CR and LF."""
    ends = [0, *sorted(cuts), len(data)]
    pieces = [data[begin:end] for begin, end in itertools.pairwise(ends)]
    assert b"".join(escape_for_terminal(pieces)) == b"".join(escape_for_terminal([data]))


def test_lines_of_csv_stay_lines() -> None:
    assert b"".join(escape_for_terminal([b"a\r", b"\nb\rc\r\n", b"d\r"])) == b"a\nb\\u000dc\nd\\u000d"
