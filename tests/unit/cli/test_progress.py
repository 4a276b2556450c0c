"""The progress line: at a terminal only, not for what is quick, and gone in the end."""

import io
import os
import pty
import threading
from pathlib import Path

import pytest

from ibkr_tools.cli import progress as module
from ibkr_tools.cli.progress import NoProgress, ProgressLine, progress


class Terminal(io.StringIO):
    """A terminal that says when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def write(self, text: str) -> int:
        count = super().write(text)
        self.written.set()
        return count


def test_what_the_line_says() -> None:
    line = ProgressLine(io.StringIO())
    assert line.text(0.0, 80) == ""
    line("positions of U1234567, page 3")
    assert line.text(0.0, 80) == "positions of U1234567, page 3"
    line.count(0, 1)
    assert line.text(0.0, 80) == "positions of U1234567, page 3", "one call of one is no progress"
    line.count(12, 48)
    assert line.text(0.0, 80) == "[#####...............] 12/48  positions of U1234567, page 3"
    assert line.text(0.0, 20) == "[#####............."


def test_a_wait_is_counted_down(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("ibkr_tools.cli.progress.time.monotonic", lambda: now)
    line = ProgressLine(io.StringIO())
    line("performance")
    line.wait("POST /pa/performance", 872.0)
    line.wait("GET /portfolio/accounts", 5.0)
    assert line.text(now, 80) == "POST /pa/performance: its turn comes in 14 min 32 s"
    assert line.text(now + 870.5, 80) == "POST /pa/performance: its turn comes in 2 s"
    assert line.text(now + 873.0, 80) == "performance"


def test_what_is_quick_shows_nothing() -> None:
    terminal = Terminal()
    with ProgressLine(terminal) as line:
        line("accounts")
    assert terminal.getvalue() == ""


def test_the_line_is_written_over_and_erased() -> None:
    terminal = Terminal()
    with ProgressLine(terminal) as line:
        line("accounts")
        assert terminal.written.wait(10)
        terminal.written.clear()
        line("positions")
        assert terminal.written.wait(10)
    shown = terminal.getvalue()
    assert shown == "\r\033[Kaccounts\r\033[Kpositions\r\033[K"


def test_it_is_erased_after_an_error_too() -> None:
    terminal = Terminal()

    def work() -> None:
        with ProgressLine(terminal) as line:
            line("accounts")
            assert terminal.written.wait(10)
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert terminal.getvalue().endswith("\r\033[K")


def test_a_terminal_that_has_gone_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Terminal):
        def write(self, text: str) -> int:
            super().write(text)
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "SHOW_AFTER_S", 0.0)
    terminal = Gone()
    with ProgressLine(terminal) as line:
        line("accounts")
        assert terminal.written.wait(10)
    assert terminal.getvalue().count("accounts") == 1


def test_elsewhere_there_is_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        monkeypatch.setattr("sys.stderr", log)
        monkeypatch.setenv("TERM", "xterm")
        with progress() as line:
            assert isinstance(line, NoProgress)
            line("accounts")
            line.count(1, 2)
            line.wait("x", 5.0)
    assert (tmp_path / "log").read_text() == ""


@pytest.mark.parametrize(("term", "kind"), [("xterm", ProgressLine), ("dumb", NoProgress)])
def test_at_a_terminal(monkeypatch: pytest.MonkeyPatch, term: str, kind: type) -> None:
    """A dumb one cannot erase."""
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setenv("TERM", term)
        assert isinstance(progress(), kind)
    os.close(leader)
