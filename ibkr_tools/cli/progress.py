"""How far a command is: one line on a terminal that is written over, and gone in the end; nothing anywhere else."""

import math
import os
import sys
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from ibkr_tools.cli.durations import format_duration
from ibkr_tools.terminal_escape import escape_control_characters

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

SHOW_AFTER_S = 0.4
"""What is over by then needs no progress, and does not load rich."""

_REFRESHES_PER_S = 5
_BAR_WIDTH = 20


class _Terminal:
    """A terminal that may go away: the work goes on."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._terminal, name)

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._terminal.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._terminal.flush()


class ProgressLine:
    """The line, within a `with` block; a command tells it, from whichever thread. Without a terminal there is none."""

    def __init__(self, terminal: TextIO | None) -> None:
        self._terminal = terminal
        self._timer = threading.Timer(SHOW_AFTER_S, self._show)
        self._timer.daemon = True
        self._live: Live | None = None
        self._step = ""
        self._done = self._total = 0
        self._waits: dict[str, float] = {}

    def __enter__(self) -> Self:
        if self._terminal is not None:
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._timer.ident is not None:
            self._timer.join()
        if self._live is not None:
            self._live.stop()

    def __call__(self, step: str) -> None:
        """Says what is done now."""
        self._step = step

    def count(self, done: int, total: int) -> None:
        """Says how much is done of how much."""
        self._done, self._total = done, total

    def wait(self, where: str, seconds: float) -> None:
        """Says that a request has to wait for its turn, and counts down."""
        self._waits[where] = time.monotonic() + seconds

    def text(self, now: float) -> str:
        """Returns what the line says at a time of the monotonic clock."""
        until, where = max(((until, where) for where, until in dict(self._waits).items()), default=(now, ""))
        text = f"{where}: its turn comes in {format_duration(math.ceil(until - now))}" if until > now else self._step
        return escape_control_characters(text).replace("\n", " ").replace("\t", " ")

    def _render(self, width: int) -> "Table":
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        line, cells = Table.grid(padding=(0, 1)), list[Any]()
        # One call of one is no progress.
        if self._total > 1:
            count = f"{self._done}/{self._total}"
            cells = [ProgressBar(self._total, self._done, width=_BAR_WIDTH), count]
            line.add_column(width=_BAR_WIDTH)
            line.add_column(width=len(count))
            width -= _BAR_WIDTH + len(count) + 2
        # A terminal may go to the next line once the last column is written.
        line.add_column(max_width=max(1, width - 1), no_wrap=True, overflow="ellipsis")
        line.add_row(*cells, Text(self.text(time.monotonic())))
        return line

    def _show(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=_Terminal(self._terminal), force_terminal=True)  # type: ignore[arg-type]
        # A program that is killed cannot show again what it has hidden.
        console.show_cursor = lambda *_: False  # type: ignore[method-assign]
        self._live = Live(
            get_renderable=lambda: self._render(console.width),
            console=console,
            refresh_per_second=_REFRESHES_PER_S,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()


def progress() -> ProgressLine:
    """Returns what shows progress: a line where standard error is a terminal that can erase one, else nothing."""
    can_erase = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return ProgressLine(sys.stderr if can_erase else None)
