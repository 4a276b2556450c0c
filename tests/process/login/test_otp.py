"""Codes that a person's own command gives."""

import os
import resource
import sys
from pathlib import Path

import pytest

from ibkr_tools.login.otp import (
    CodeRequest,
    CommandCodes,
    NoCode,
    explain_missing_code,
    find_code,
)
from tests.support.patience import within
from tests.support.processes import is_alive
from tests.support.simulation import wait_until

QUESTION = CodeRequest(factor="silver", asked_at=1_000_000.0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\ufeff123456\n", "line 1 has a byte order mark (U+FEFF) beside a code"),
        ("ready\n123\u200b456\n", "line 2 has a zero width space (U+200B) beside a code"),
        ("\x1b[1;32m123456\x1b[0m\n", "line 1 has an escape character"),
        ("\x1b]0;title\x07123456\n", "line 1 has an escape character"),
        ("123456\0", "line 1 has a NUL character"),
        ("\x00\n12\x0b3456", "line 2 has a control character (U+000B) beside a code"),
        ("12\x1c3456", "line 1 has a control character (U+001C) beside a code"),
        ("\u202a123456\u202c", "left-to-right embedding"),
        ("\ufffd\ufffd1\x002\x003\x004\x005\x006\x00", "line 1 has a replacement character"),
        ("\u0661\u0662\u0663\u0664\u0665\u0666", "line 1 has digits that are not 0 to 9"),
        ("\uff11\uff12\uff13\uff14\uff15\uff16", "line 1 has digits that are not 0 to 9"),
        ("hello\n", None),
        ("\x1b[32mhello\x1b[0m", None),
        ("", None),
    ],
)
def test_code_with_something_unseen_is_none_and_is_told(tmp_path: Path, text: str, why: str | None) -> None:
    assert find_code(text, "silver") is None
    assert (why in str(explain_missing_code(text, "silver"))) if why else explain_missing_code(text, "silver") is None
    assert "123456" not in str(explain_missing_code(text, "silver"))
    source = python(tmp_path, f"sys.stdout.buffer.write({text.encode()!r})")
    with pytest.raises(NoCode, match="printed no code") as caught:
        source.get_code(0, QUESTION)
    assert (why or "no code") in caught.value.message


def python(tmp_path: Path, body: str, *, timeout_s: float = 10, name: str = "code") -> CommandCodes:
    """A command of the user's own, written in Python."""
    script = tmp_path / name
    script.write_text(f"#!{sys.executable}\nimport os, sys, time, subprocess\n{body}\n")
    script.chmod(0o755)
    return CommandCodes([str(script), "an argument"], timeout_s)


def test_command_is_told_what_is_asked_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/socket")
    out = tmp_path / "seen"
    body = f"open({str(out)!r}, 'w').write(repr((dict(os.environ), sys.argv[1:], os.getcwd(), sys.stdin.read())))"
    source = python(tmp_path, body + "\nprint('hello')\nprint('123456')")
    question = CodeRequest(factor="gold", challenge="271 828", asked_at=1_000_000.9, attempt=2)
    assert source.wait_s(0) == 0
    assert source.get_code(0, question).reveal() == "123456"
    seen = out.read_text()
    for wanted in ("'gold'", "'271 828'", "'1000000'", "'IBKR_TOOLS_ATTEMPT': '2'", "an argument", "'/'"):
        assert wanted in seen
    assert "CREDENTIALS" not in seen
    assert "NOTIFY" not in seen


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("print('nothing yet')", "printed no code"),
        ("sys.exit(3)", "ended with exit code 3$"),
        (
            "print('123456'); print('line one', file=sys.stderr);sys.exit('mailbox of 123456 and 98765432 is full')",
            "exit code 1: mailbox of … and … is full$",
        ),
        ("os.kill(os.getpid(), 9)", "was killed by SIGKILL$"),
        ("import nothing_of_this_name", "ended with exit code 1: ModuleNotFoundError"),
    ],
)
def test_command_without_a_code_says_why(tmp_path: Path, body: str, why: str) -> None:
    with pytest.raises(NoCode, match=why) as caught:
        python(tmp_path, body).get_code(0, QUESTION)
    assert "123456" not in str(caught.value)
    assert "line one" not in str(caught.value)


def test_command_that_takes_too_long_is_ended_with_all_it_started(tmp_path: Path) -> None:
    note = tmp_path / "child"
    body = f"child = subprocess.Popen(['sleep', '60']); open({str(note)!r}, 'w').write(str(child.pid)); time.sleep(60)"
    with within(12), pytest.raises(NoCode, match="gave no code within 4 s"):
        python(tmp_path, body, timeout_s=4).get_code(0, QUESTION)
    wait_until(lambda: not is_alive(note.read_text()))


@pytest.mark.parametrize(
    ("body", "timeout_s", "why"),
    [
        ("yes", 60, "printed more than 64 kB"),
        ("yes >&2", 2, "gave no code within 2 s"),
        ("head -c 3000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo full >&2; exit 3", 60, "exit code 3: full$"),
    ],
)
def test_command_that_prints_for_ever_is_bounded(body: str, timeout_s: int, why: str) -> None:
    """In time, and in what is kept of it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(NoCode, match=why):
        CommandCodes(["/bin/sh", "-c", body], timeout_s).get_code(0, QUESTION)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_command_that_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(NoCode, match="No such file"):
        CommandCodes([str(tmp_path / "missing")], 5).get_code(0, QUESTION)
    with pytest.raises(NoCode, match="Permission denied"):
        CommandCodes([os.fspath(tmp_path)], 5).get_code(0, QUESTION)


def test_command_that_repeats_itself_gives_no_second_code(tmp_path: Path) -> None:
    """A code that IBKR refused is not sent once more."""
    source = python(tmp_path, "print('123456')")
    source.get_code(0, QUESTION)
    with pytest.raises(NoCode, match="same code again"):
        source.get_code(0, QUESTION)
