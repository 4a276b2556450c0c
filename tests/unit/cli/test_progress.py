"""The progress line: at a terminal only, not for what is quick, and gone in the end."""

import io
import os
import pty
import select
import threading
from pathlib import Path

import pytest
from rich.console import Console

from ibkr_tools.cli import progress as module
from ibkr_tools.cli.progress import ProgressLine, progress
from tests.support.patience import wait_until

ERASE_LINE, UP_ONE_LINE, HIDE_CURSOR = "\x1b[2K", "\x1b[1A", "\x1b[?25l"


class Terminal(io.StringIO):
    """A terminal that says when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def write(self, text: str) -> int:
        count = super().write(text)
        self.written.set()
        return count


@pytest.fixture(autouse=True)
def terminal_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 60 columns that can erase a line."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")


def rendered(line: ProgressLine) -> str:
    """Returns what the terminal shows of a line, without colours."""
    console = Console(file=io.StringIO(), width=60)
    with console.capture() as capture:
        console.print(line._render(60))
    return capture.get().rstrip()


def test_what_the_line_says() -> None:
    line = ProgressLine(None)
    assert rendered(line) == ""
    line("positions of U1234567, page 3")
    assert rendered(line) == "positions of U1234567, page 3"
    line.count(0, 1)
    assert rendered(line) == "positions of U1234567, page 3", "one call of one is no progress"
    line.count(24, 48)
    assert rendered(line).endswith(" 24/48 positions of U1234567, page 3")
    assert rendered(line).count("━") == 10
    line("positions of U1234567, page 3, and more than one line has room for")
    assert rendered(line).endswith(" 24/48 positions of U1234567, page 3, …")
    assert len(rendered(line)) == 59


def test_a_wait_is_counted_down(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("ibkr_tools.cli.progress.time.monotonic", lambda: now)
    line = ProgressLine(None)
    line("performance")
    line.wait("POST /pa/performance", 872.0)
    line.wait("GET /portfolio/accounts", 5.0)
    assert line.text(now) == "POST /pa/performance: its turn comes in 14 min 32 s"
    assert line.text(now + 870.5) == "POST /pa/performance: its turn comes in 2 s"
    assert line.text(now + 873.0) == "performance"


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
        line("positions")
        wait_until(lambda: "positions" in terminal.getvalue())
    shown = terminal.getvalue()
    assert shown.index("accounts") < shown.index(ERASE_LINE) < shown.index("positions")
    assert shown.endswith(f"\n\r{UP_ONE_LINE}{ERASE_LINE}")
    assert HIDE_CURSOR not in shown, "a program that is killed cannot show it again"


def test_it_is_erased_after_an_error_too() -> None:
    terminal = Terminal()

    def work() -> None:
        with ProgressLine(terminal) as line:
            line("accounts")
            assert terminal.written.wait(10)
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert terminal.getvalue().endswith(ERASE_LINE)


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


def test_elsewhere_there_is_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "SHOW_AFTER_S", 0.0)
    with (tmp_path / "log").open("w") as log:
        monkeypatch.setattr("sys.stderr", log)
        with progress() as line:
            line("accounts")
            line.count(1, 2)
            line.wait("x", 5.0)
    assert (tmp_path / "log").read_text() == ""


@pytest.mark.parametrize(("term", "is_shown"), [("xterm", True), ("dumb", False)])
def test_at_a_terminal(monkeypatch: pytest.MonkeyPatch, term: str, is_shown: bool) -> None:
    """A dumb one cannot erase."""
    monkeypatch.setattr(module, "SHOW_AFTER_S", 0.0)
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setenv("TERM", term)
        with progress() as line:
            line("accounts")
            readable, _, _ = select.select([leader], [], [], 10 if is_shown else 0.5)
    assert bool(readable) is is_shown
    os.close(leader)
